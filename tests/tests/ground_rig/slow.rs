//! A request whose body comes when the test says so.
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::DEADLINE;

/// A request that a service has begun to read and cannot have finished.
pub struct Slow {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Slow {
    /// Sends the head and waits until the service asks for the body (`Expect: 100-continue`, RFC 9110, 10.1.1): then its
    /// handler is at work.
    pub async fn begin(url: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Self {
        let address = url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let length = body.len();
        let mut head =
            format!("POST {path} HTTP/1.1\r\nhost: {address}\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 25];
        tokio::time::timeout(DEADLINE, stream.read_exact(&mut answer)).await.expect("a word on the body").unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 100 Continue\r\n\r\n");
        Self { stream, rest: body }
    }

    /// Sends so many more bytes of the body.
    pub async fn send(&mut self, bytes: usize) {
        let rest = self.rest.split_off(bytes);
        self.stream.write_all(&std::mem::replace(&mut self.rest, rest)).await.unwrap();
    }

    /// Sends the rest and answers everything that came back; the service closes the connection, as it is stopping.
    pub async fn finish(mut self) -> String {
        self.stream.write_all(&self.rest).await.unwrap();
        self.answer().await.unwrap()
    }

    /// Reads until the service closes the connection, without sending the rest.
    pub async fn answer(&mut self) -> std::io::Result<String> {
        let mut answer = Vec::new();
        tokio::time::timeout(DEADLINE, self.stream.read_to_end(&mut answer)).await.expect("the end of the answer")?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}
