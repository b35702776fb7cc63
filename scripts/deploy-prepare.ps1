# The twin of deploy-prepare.sh. The work is in local/deploy.
Set-Location (Join-Path $PSScriptRoot '..')
$env:PATH = (Join-Path $PWD '.venv' 'Scripts') + [IO.Path]::PathSeparator + $env:PATH
cargo run --quiet --locked -p deploy-prepare -- @args
exit $LASTEXITCODE
