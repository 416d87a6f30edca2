use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;

use crate::{receive::receive, send::send};

/// A folder of its own for a test, with one for what is received.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hyaline-{}-{test}", std::process::id()));
        fs::create_dir_all(path.join("here")).unwrap();
        Self(path)
    }

    fn received(&self) -> Vec<String> {
        let names = fs::read_dir(self.0.join("here")).unwrap();
        names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    /// Sends a file of this content to the folder `here`, and gives what both ends say.
    fn transfer(&self, content: &[u8]) -> [Result<String, String>; 2] {
        let file = self.0.join("file.bin");
        fs::write(&file, content).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sender = thread::spawn(move || send(&file, &listener).map_err(|error| error.to_string()));
        let received = receive(address, &self.0.join("here")).map_err(|error| error.to_string());
        [sender.join().unwrap(), received]
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[test]
fn files_arrive_as_they_are() {
    // Longer than the send buffer: it says that it is full, and then that it is not.
    for length in [0, 1, 65_536, 20_000_001] {
        let folder = Folder::new(&format!("arrive-{length}"));
        let content: Vec<u8> = (0..length).map(|index: usize| (index * 31 >> 7) as u8).collect();
        let [sent, received] = folder.transfer(&content);
        assert!(sent.unwrap().ends_with(&format!("({length} bytes)")));
        assert!(received.unwrap().ends_with("file.bin"));
        assert_eq!(folder.received(), ["file.bin"]);
        assert!(fs::read(folder.0.join("here/file.bin")).unwrap() == content);
    }
}

#[test]
fn a_file_that_is_there_is_not_overwritten() {
    let folder = Folder::new("there");
    let target = folder.0.join("here/file.bin");
    fs::write(&target, "old").unwrap();
    for error in folder.transfer(b"new").map(Result::unwrap_err) {
        assert!(error.contains("file.bin is there already: move it away"), "{error}");
    }
    assert_eq!(fs::read(&target).unwrap(), b"old");
    assert_eq!(folder.received(), ["file.bin"]);
}

#[test]
fn what_cannot_begin_says_what_to_do() {
    let folder = Folder::new("begin");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let nothing = folder.0.join("nothing");
    let cases = [
        (send(&nothing, &listener), "name a file that you may read"),
        (send(&folder.0, &listener), "name another one"),
        (receive(address, &nothing), "make it first"),
        (
            {
                drop(listener);
                receive(address, &folder.0)
            },
            "start `file_transfer send` first",
        ),
    ];
    for (result, advice) in cases {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(advice), "{error}");
    }
}
