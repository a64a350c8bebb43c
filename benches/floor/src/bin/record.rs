//! Stands between a gateway and its Redis and writes down every command that comes by, so that `replay` can send the very
//! same. One command a line: its arguments in hexadecimal, with blanks between.

use clap::Parser;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

/// The longest argument that is taken.
const MAX_ARGUMENT: usize = 1 << 20;
/// The most arguments of a command.
const MAX_ARGUMENTS: usize = 10_000;

#[derive(Debug, Parser)]
struct Args {
    /// Where the gateway connects to.
    #[arg(long, default_value = "127.0.0.1:6399")]
    listen: String,
    /// The real Redis.
    #[arg(long, default_value = "127.0.0.1:6390")]
    redis: String,
    /// What is written.
    #[arg(long)]
    out: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let out = Arc::new(Mutex::new(File::create(args.out)?));
    for client in TcpListener::bind(args.listen)?.incoming() {
        let (client, redis) = (client?, TcpStream::connect(&args.redis)?);
        let (mut back, mut answers) = (client.try_clone()?, redis.try_clone()?);
        thread::spawn(move || io::copy(&mut answers, &mut back));
        let out = Arc::clone(&out);
        thread::spawn(move || listen(client, redis, &out));
    }
    Ok(())
}

/// Passes commands on, one after the other, until either side is gone.
fn listen(client: TcpStream, mut redis: TcpStream, out: &Mutex<File>) -> io::Result<()> {
    let mut client = BufReader::new(client);
    loop {
        let mut raw = Vec::new();
        let command = command(&mut client, &mut raw)?;
        let line = command.iter().map(|argument| hex(argument)).collect::<Vec<_>>().join(" ");
        writeln!(out.lock().expect("nobody panics with it"), "{line}")?;
        redis.write_all(&raw)?;
    }
}

/// One command of the Redis protocol; its bytes as they came go to `raw`.
fn command(from: &mut impl BufRead, raw: &mut Vec<u8>) -> io::Result<Vec<Vec<u8>>> {
    let count = number(from, raw, b'*', MAX_ARGUMENTS)?;
    (0..count)
        .map(|_| {
            let length = number(from, raw, b'$', MAX_ARGUMENT)?;
            let begins = raw.len();
            raw.resize(begins + length + 2, 0);
            from.read_exact(&mut raw[begins..])?;
            Ok(raw[begins..begins + length].to_vec())
        })
        .collect()
}

fn number(from: &mut impl BufRead, raw: &mut Vec<u8>, sign: u8, most: usize) -> io::Result<usize> {
    let begins = raw.len();
    if from.take(32).read_until(b'\n', raw)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let text = raw[begins..].strip_prefix(&[sign]).and_then(|rest| std::str::from_utf8(rest).ok());
    let number = text.and_then(|text| text.trim().parse().ok()).filter(|&n| n <= most);
    number.ok_or_else(|| io::Error::other("this is no command"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
