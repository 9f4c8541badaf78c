//! Who is connected to a port, and who ever was while it was watched.
//!
//! Reads `/proc/net/tcp` and the open files of processes, so it sees every connection on this machine, also of
//! programs that we did not start (as root; others see only their own processes' ids).
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// How often a watch looks. A connection that its client closes stays visible for a minute (TIME_WAIT), though then
/// without its process, so shorter ones are seen too.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The client's end of a TCP connection to a watched port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    /// The port it goes to.
    pub port: u16,
    /// The client's own port.
    pub from: u16,
    /// The client's process, if it was seen alive.
    pub pid: Option<u32>,
}

/// All connections to these loopback ports, as their clients hold them now.
pub fn connections_to(ports: &[u16]) -> Vec<Connection> {
    let sockets = sockets_to(ports);
    let wanted: BTreeSet<u64> = sockets.iter().map(|socket| socket.inode).filter(|inode| *inode != 0).collect();
    let owners = owners_of(&wanted);
    let found = sockets.into_iter().map(|socket| Connection {
        port: socket.port,
        from: socket.from,
        pid: owners.get(&socket.inode).copied(),
    });
    found.collect()
}

/// Connections by (watched port, client's port), with the client's process if it was seen alive.
type Seen = BTreeMap<(u16, u16), Option<u32>>;

/// Remembers every connection to some ports until it is asked.
#[derive(Debug)]
pub struct ConnectionWatch {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Seen>>,
}

impl ConnectionWatch {
    /// Starts to watch. What is connected already is seen as well.
    pub fn start(ports: &[u16]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ports, stopped) = (ports.to_vec(), Arc::clone(&stop));
        let thread = std::thread::spawn(move || watch(&ports, &stopped));
        Self { stop, thread: Some(thread) }
    }

    /// Ends the watch and answers every connection seen.
    pub fn finish(mut self) -> Vec<Connection> {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        seen.into_iter().map(|((port, from), pid)| Connection { port, from, pid }).collect()
    }
}

impl Drop for ConnectionWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn watch(ports: &[u16], stopped: &AtomicBool) -> Seen {
    let mut seen = Seen::new();
    // Old connections of earlier tests linger in TIME_WAIT; only what comes later counts, unless it has a process.
    for socket in sockets_to(ports).into_iter().filter(|socket| socket.inode == 0) {
        seen.insert((socket.port, socket.from), None);
    }
    let old: BTreeSet<(u16, u16)> = seen.keys().copied().collect();
    loop {
        // Asked before the look, so that the last look comes after the request to stop.
        let last = stopped.load(Ordering::Relaxed);
        let sockets = sockets_to(ports);
        let unowned: BTreeSet<u64> = sockets
            .iter()
            .filter(|socket| socket.inode != 0 && seen.get(&(socket.port, socket.from)).copied().flatten().is_none())
            .map(|socket| socket.inode)
            .collect();
        let owners = if unowned.is_empty() { BTreeMap::new() } else { owners_of(&unowned) };
        for socket in sockets {
            let entry = seen.entry((socket.port, socket.from)).or_default();
            *entry = entry.or_else(|| owners.get(&socket.inode).copied());
        }
        if last {
            seen.retain(|key, pid| pid.is_some() || !old.contains(key));
            return seen;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

struct Socket {
    port: u16,
    from: u16,
    inode: u64,
}

/// Client ends (their remote port is watched) in any state but listening. IPv6 sockets to IPv4 loopback (Java's) are
/// listed in `tcp6`.
fn sockets_to(ports: &[u16]) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        sockets.extend(text.lines().skip(1).filter_map(socket_of).filter(|socket| ports.contains(&socket.port)));
    }
    sockets
}

/// One line of `/proc/net/tcp` (proc(5)): `sl local:port remote:port state queues timer retransmits uid timeout inode`.
fn socket_of(line: &str) -> Option<Socket> {
    let mut words = line.split_whitespace().skip(1);
    let from = port_of(words.next()?)?;
    let port = port_of(words.next()?)?;
    let inode = words.nth(6)?.parse().ok()?;
    Some(Socket { port, from, inode })
}

fn port_of(address: &str) -> Option<u16> {
    u16::from_str_radix(address.rsplit(':').next()?, 16).ok()
}

/// Which process holds each of these socket inodes.
fn owners_of(wanted: &BTreeSet<u64>) -> BTreeMap<u64, u32> {
    let mut owners = BTreeMap::new();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for (pid, folder) in processes.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((pid, entry.path().join("fd")))
    }) {
        for file in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(target) = std::fs::read_link(file.path()) else { continue };
            let inode = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode.filter(|inode| wanted.contains(inode)) {
                owners.insert(inode, pid);
            }
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn sees_open_and_short_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let watch = ConnectionWatch::start(&[port]);
        let open = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let from = open.local_addr().unwrap().port();
        let own = Connection { port, from, pid: Some(std::process::id()) };
        assert_eq!(connections_to(&[port]), std::slice::from_ref(&own));
        let short = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let short_from = short.local_addr().unwrap().port();
        drop(short);
        let _accepted = (listener.accept().unwrap(), listener.accept().map(drop).unwrap());
        let seen = watch.finish();
        assert!(seen.contains(&own), "{seen:?}");
        assert!(seen.iter().any(|connection| connection.from == short_from), "{seen:?}");
    }

    #[test]
    fn reads_a_line_of_the_table() {
        let line =
            "   3: 0100007F:C350 0100007F:2384 01 00000000:00000000 00:00000000 00000000     0        0 12345 1 0";
        let socket = socket_of(line).unwrap();
        assert_eq!((socket.from, socket.port, socket.inode), (50_000, 9_092, 12_345));
    }
}
