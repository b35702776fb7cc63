//! What was measured, for people.

use std::{
    fs,
    io::{self, Write},
    process::Command,
    time::Duration,
};

use private_postgres::find;

use crate::{Failure, binaries, cases::quantile, world::World};

/// What the requests of a case took together.
pub(crate) struct Cost {
    /// The function's CPU time.
    pub(crate) cpu: Duration,
    /// PostgreSQL's.
    pub(crate) server_cpu: Duration,
    pub(crate) peak_bytes: u64,
    pub(crate) trips: u64,
}

/// One line of the table.
pub(crate) struct Row {
    name: &'static str,
    cold: Duration,
    p50: Duration,
    p99: Duration,
    per_second: f64,
    cpu: Duration,
    server_cpu: Duration,
    peak_kib: u64,
    trips: f64,
}

impl Row {
    pub(crate) fn new(
        name: &'static str,
        cold: &mut [Duration],
        times: &mut [Duration],
        cost: &Cost,
    ) -> Self {
        cold.sort_unstable();
        times.sort_unstable();
        let total: Duration = times.iter().sum();
        let count = u32::try_from(times.len()).unwrap_or(1);
        Self {
            name,
            cold: quantile(cold, 500),
            p50: quantile(times, 500),
            p99: quantile(times, 990),
            per_second: f64::from(count) / total.as_secs_f64(),
            cpu: cost.cpu / count,
            server_cpu: cost.server_cpu / count,
            peak_kib: cost.peak_bytes / 1024,
            trips: f64::from(u32::try_from(cost.trips).unwrap_or(u32::MAX)) / f64::from(count),
        }
    }
}

/// Prints the measurements.
pub(crate) fn print(rows: &[Row]) {
    say("");
    say(
        "| case | cold ms | p50 ms | p99 ms | req/s | CPU ms/req | PostgreSQL ms/req | peak MiB | round trips |",
    );
    say("|---|---|---|---|---|---|---|---|---|");
    for row in rows {
        let peak = f64::from(u32::try_from(row.peak_kib).unwrap_or(u32::MAX)) / 1024.0;
        say(&format!(
            "| {} | {:.1} | {:.2} | {:.2} | {:.0} | {:.3} | {:.3} | {peak:.1} | {:.1} |",
            row.name,
            millis(row.cold),
            millis(row.p50),
            millis(row.p99),
            row.per_second,
            millis(row.cpu),
            millis(row.server_cpu),
            row.trips
        ));
    }
}

/// The list's statements straight from pgbench, one client: what the database alone can do.
pub(crate) fn print_pgbench(world: &World) -> Result<(), Failure> {
    let found = find::find(None, None)?;
    let script = format!(
        "begin;\nselect set_config('app.tenant_id', '{0}', true);\n\
         select * from leads l where l.tenant_id = '{0}' and l.deleted_at is null and l.status = any ('{{new,contacted}}')\n\
         and l.source = any ('{{form}}') order by l.created_at desc, l.id desc limit 26;\ncommit;\n",
        world.usual.id
    );
    let path = std::env::temp_dir().join(format!("wellspring-bench-{}.sql", std::process::id()));
    fs::write(&path, script)?;
    let url = world.cluster.owner_url(private_postgres::DATABASE);
    let run = Command::new(found.dir.join("pgbench"))
        .args(["-n", "-M", "prepared", "-c", "1", "-T", "5", "-f"])
        .arg(&path)
        .arg(&url)
        .output();
    drop(fs::remove_file(&path));
    let Ok(run) = run else { return Ok(()) };
    let text = String::from_utf8_lossy(&run.stdout);
    if let Some(line) = text.lines().find(|line| line.starts_with("tps")) {
        say(&format!("\npgbench, the list's statements, one client: {line}"));
    }
    Ok(())
}

/// Sizes of the binaries, as they are and compressed.
pub(crate) fn print_binaries() -> Result<(), Failure> {
    say("\n| binary | MB | gz MB |\n|---|---|---|");
    for name in local::functions::names() {
        let path = binaries::path(name)?;
        let size = fs::metadata(&path)?.len();
        let packed = Command::new("gzip").arg("-c").arg(&path).output()?.stdout.len();
        say(&format!("| {name} | {:.2} | {:.2} |", megabytes(size), megabytes(packed as u64)));
    }
    Ok(())
}

/// Says what is being done, beside the table.
pub(crate) fn note(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

/// Writes a line of the result.
pub(crate) fn say(text: &str) {
    drop(writeln!(io::stdout(), "{text}"));
}

/// For people.
pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn megabytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0
}
