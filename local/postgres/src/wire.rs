//! Just enough of PostgreSQL's protocol to send statements to a server that trusts us, since a client program
//! may not be installed. Messages: PostgreSQL manual, "Frontend/Backend Protocol", "Message Formats".

use std::{
    io::{Error, ErrorKind, Read, Result, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

/// Protocol 3.0.
const PROTOCOL: i32 = 3 << 16;

/// Runs `sql`, which may hold several statements (then they are one transaction), and discards rows.
pub(crate) fn execute(port: u16, user: &str, database: &str, sql: &str) -> Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_mins(2)))?;
    let mut startup = PROTOCOL.to_be_bytes().to_vec();
    for word in ["user", user, "database", database, ""] {
        startup.extend(word.as_bytes());
        startup.push(0);
    }
    send(&mut stream, None, &startup)?;
    until_ready(&mut stream)?;
    send(&mut stream, Some(b'Q'), &[sql.as_bytes(), b"\0"].concat())?;
    until_ready(&mut stream)?;
    send(&mut stream, Some(b'X'), &[])
}

fn send(stream: &mut TcpStream, tag: Option<u8>, body: &[u8]) -> Result<()> {
    let length = i32::try_from(body.len() + 4).map_err(|_| Error::other("the statement is too long"))?;
    let message: Vec<u8> = tag.into_iter().chain(length.to_be_bytes()).chain(body.iter().copied()).collect();
    stream.write_all(&message)
}

/// Reads messages until the server is ready for the next statement; the first error among them is returned.
fn until_ready(stream: &mut TcpStream) -> Result<()> {
    let mut failure = None;
    loop {
        let mut tag = [0; 1];
        // Before authentication a fatal error ends the connection and no readiness follows.
        match stream.read_exact(&mut tag) {
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Err(failure.unwrap_or(e)),
            read => read?,
        }
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length)).map_err(Error::other)?;
        let mut body = vec![0; length.saturating_sub(4)];
        stream.read_exact(&mut body)?;
        match &tag {
            b"Z" => return failure.map_or(Ok(()), Err),
            b"E" => failure = failure.or_else(|| Some(Error::other(describe(&body)))),
            _ => {}
        }
    }
}

/// Turns the fields of an error, each a letter and a text, into one line.
fn describe(body: &[u8]) -> String {
    let field = |code: u8| {
        let mut fields = body.split(|byte| *byte == 0);
        let found = fields.find_map(|field| field.strip_prefix(&[code]));
        found.map(|text| String::from_utf8_lossy(text).into_owned())
    };
    let mut line = format!("{} ({})", field(b'M').unwrap_or_default(), field(b'C').unwrap_or_default());
    for (code, name) in [(b'D', "detail"), (b'H', "hint"), (b'P', "at character"), (b'W', "in")] {
        if let Some(text) = field(code) {
            line.push_str(&format!("; {name}: {text}"));
        }
    }
    line
}
