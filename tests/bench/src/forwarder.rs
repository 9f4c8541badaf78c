//! A plain byte forwarder: what any gateway on sockets costs at least. It reads nothing and decides nothing.

use std::{io, net::SocketAddr};

use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpListener, TcpStream},
};

/// Buffer of each direction, bytes.
const BUFFER: usize = 256 * 1024;

/// Forwards every connection on `listen` to `to` until the process is stopped.
pub(crate) async fn run(listen: SocketAddr, to: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (mut client, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut broker = TcpStream::connect(to).await?;
            client.set_nodelay(true)?;
            broker.set_nodelay(true)?;
            copy_bidirectional_with_sizes(&mut client, &mut broker, BUFFER, BUFFER).await
        });
    }
}
