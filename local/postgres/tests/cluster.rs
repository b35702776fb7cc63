//! A private server starts, keeps what it should keep, and never outlives us.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use private_postgres::{Cluster, DATABASE, Durability, Options, StartError, pidfile::PidFile};

/// A fresh folder for one test's cluster, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("private-postgres-{name}-{}", std::process::id())))
    }

    fn options(&self, durability: Durability) -> Options {
        Options { dir: self.0.clone(), port: None, durability, pg_bin_dir: None }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited 30 s in vain for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[test]
fn a_cluster_starts_with_our_role_and_database_and_is_gone_after_the_stop() {
    let scratch = Scratch::new("start");
    let cluster = Cluster::start(&scratch.options(Durability::Throwaway)).unwrap();
    let port = cluster.port();
    assert_eq!(cluster.owner_url("x"), format!("postgres://wellspring_owner@127.0.0.1:{port}/x"));
    cluster
        .execute(
            DATABASE,
            "do $$ begin
                assert (select not rolsuper and rolcreaterole and rolcanlogin from pg_roles where rolname = current_user);
                assert (select nspowner::regrole::text = current_user from pg_namespace where nspname = 'public');
                assert current_setting('server_encoding') = 'UTF8';
            end $$; create table t (i int); insert into t values (1)",
        )
        .unwrap();
    cluster.create_database("another \"one\"").unwrap();
    cluster.execute("another \"one\"", "create table t (i int)").unwrap();

    cluster.stop().unwrap();
    assert!(!listens(port));
    assert!(!scratch.0.exists(), "a throw-away cluster leaves nothing behind");
}

#[test]
fn an_error_in_sql_is_told_and_undoes_the_whole_text() {
    let scratch = Scratch::new("sql");
    let cluster = Cluster::start(&scratch.options(Durability::Throwaway)).unwrap();
    let error = cluster.execute(DATABASE, "create table t (i int); select 1 from nowhere").unwrap_err();
    assert!(error.to_string().contains("relation \"nowhere\" does not exist (42P01)"), "{error}");
    cluster.execute(DATABASE, "create table t (i int)").unwrap();
    let error = cluster.execute("no_such_database", "select 1").unwrap_err();
    assert!(error.to_string().contains("does not exist (3D000)"), "{error}");
}

#[test]
fn kept_data_is_there_after_a_restart_and_after_a_crash() {
    let scratch = Scratch::new("keep");
    let options = scratch.options(Durability::Keep);
    let cluster = Cluster::start(&options).unwrap();
    cluster.execute(DATABASE, "create table t (i int); insert into t values (42)").unwrap();
    cluster.stop().unwrap();

    let has_row = "do $$ begin assert (select i = 42 from t); end $$";
    let cluster = Cluster::start(&options).unwrap();
    cluster.execute(DATABASE, has_row).unwrap();
    let pid = PidFile::read(&scratch.0.join("data")).unwrap().pid;
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    wait_for("the killed server is gone", || !listens(cluster.port()));
    drop(cluster);

    let cluster = Cluster::start(&options).unwrap();
    cluster.execute(DATABASE, has_row).unwrap();
}

#[test]
fn a_stale_pid_file_of_an_unrelated_process_does_not_stand_in_the_way() {
    let scratch = Scratch::new("stale");
    let options = scratch.options(Durability::Keep);
    Cluster::start(&options).unwrap().stop().unwrap();
    let data = scratch.0.join("data");
    let stale = format!("{}\n{}\n1\n5432\n\n127.0.0.1\n0 0\nready\n", std::process::id(), data.display());
    std::fs::write(data.join("postmaster.pid"), stale).unwrap();
    Cluster::start(&options).unwrap().stop().unwrap();
}

#[test]
fn a_second_start_uses_the_running_server_and_leaves_it_running() {
    let scratch = Scratch::new("second");
    let options = scratch.options(Durability::Keep);
    let first = Cluster::start(&options).unwrap();
    let second = Cluster::start(&options).unwrap();
    assert!(second.is_shared() && !first.is_shared());
    assert_eq!(first.port(), second.port());
    second.stop().unwrap();
    first.execute(DATABASE, "select 1").unwrap();
}

#[test]
fn a_taken_port_is_named_before_anything_is_made() {
    let scratch = Scratch::new("port");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let options = Options { port: Some(port), ..scratch.options(Durability::Keep) };
    let error = Cluster::start(&options).unwrap_err();
    assert!(matches!(error, StartError::PortInUse { port: p } if p == port), "{error}");
    assert!(error.to_string().contains("PGPORT"), "{error}");
    assert!(!scratch.0.join("data").exists());
}

fn pg(dir: &Path, args: &[&str]) -> std::io::Result<Child> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pg"));
    command.args(["run", "--dir"]).arg(dir).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

#[test]
fn a_killed_parent_leaves_no_orphan_and_no_files() {
    let scratch = Scratch::new("kill");
    let mut parent = pg(&scratch.0, &[]).unwrap();
    let data = scratch.0.join("data");
    let mut server = None;
    wait_for("the server is ready", || {
        server = PidFile::read(&data).filter(|file| file.ready);
        server.is_some()
    });
    let server = server.unwrap();
    assert!(server.is_alive(&data));

    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_for("the orphan is gone", || !server.is_alive(&data) && !listens(server.port));
    wait_for("the files are gone", || !data.exists());
}

#[test]
fn the_tool_hands_a_migrated_database_to_a_command_and_passes_its_status_on() {
    let scratch = Scratch::new("tool");
    let migrations = scratch.0.with_extension("migrations");
    std::fs::create_dir_all(&migrations).unwrap();
    std::fs::write(migrations.join("2.sql"), "insert into t values (1);").unwrap();
    std::fs::write(migrations.join("1.sql"), "create table t (i int);").unwrap();
    let script = ["--", "sh", "-c", "echo $DATABASE_URL; exit 7"];
    let arguments = [&["--migrations", migrations.to_str().unwrap()][..], &script].concat();
    let output = pg(&scratch.0, &arguments).unwrap().wait_with_output().unwrap();
    std::fs::remove_dir_all(&migrations).unwrap();
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    let url = String::from_utf8(output.stdout).unwrap();
    assert!(
        url.starts_with("postgres://wellspring_owner@127.0.0.1:") && url.ends_with("/wellspring\n"),
        "{url}"
    );
}
