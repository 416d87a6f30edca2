//! A file goes from one process to another over a data channel: `file_transfer send FILE`, `file_transfer receive FOLDER`.
//! Offer and answer go over a TCP connection, and nothing else does.

mod connection;
mod progress;
mod receive;
mod send;
mod signalling;
#[cfg(test)]
mod tests;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const ABOUT: &str = "\
Sends a file to another process over a WebRTC data channel.

The sender waits for the receiver on a TCP address, over which offer and answer go; the file goes over UDP between the \
same two hosts, encrypted. Whoever can change what the TCP connection carries can put itself in between.

It ends with 0 when the file has arrived and its SHA-256 is right, with 1 when not, with 2 when it is called wrongly.";

/// Sends a file to another process over a WebRTC data channel.
#[derive(Debug, Parser)]
#[command(name = "file_transfer", long_about = ABOUT)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Waits for the receiver, and sends it a file.
    Send {
        /// The file; its name goes with it.
        file: PathBuf,
        /// The TCP address on which it waits for the receiver.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:4000")]
        listen: SocketAddr,
    },
    /// Fetches the file of a sender.
    Receive {
        /// Where the sender waits.
        sender: SocketAddr,
        /// Where the file is laid; one of its name is not overwritten.
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<String, Failure> {
    match command {
        Command::Send { file, listen } => {
            let listener = TcpListener::bind(listen)
                .map_err(|error| format!("cannot listen on {listen} ({error}): name another address with --listen"))?;
            send::send(&file, &listener)
        }
        Command::Receive { sender, folder } => receive::receive(sender, &folder),
    }
}
