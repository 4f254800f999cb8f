//! A web server whose pages are contents: `GET /NAME` fetches what the tracker knows by that name and sends it.
//!
//! `cargo run -p riffle --example http_gateway -- TRACKER FOLDER`, then `curl http://127.0.0.1:8080/film.mkv`

use std::error::Error;
use std::path::Path;

use riffle::{DownloadTimeouts, Name, Node};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Answers one request: the file's bytes, or why there are none.
async fn answer(
    mut stream: TcpStream,
    node: &Node,
    folder: &Path,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut request = String::new();
    BufReader::new(&mut stream).read_line(&mut request).await?;
    let name = request.split(' ').nth(1).and_then(|path| path.strip_prefix('/')).unwrap_or_default();
    let (status, body) = match fetch(node, name, folder).await {
        Ok(bytes) => ("200 OK", bytes),
        Err(error) => ("502 Bad Gateway", format!("{error}\n").into_bytes()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    Ok(stream.write_all(&body).await?)
}

async fn fetch(node: &Node, name: &str, folder: &Path) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let timeouts =
        DownloadTimeouts { nobody_shares: Some(std::time::Duration::ZERO), ..DownloadTimeouts::NONE };
    let download = node.download(Name::new(name)?).into_dir(folder).timeouts(timeouts).start();
    Ok(std::fs::read(download.finished().await?.path)?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(tracker), Some(folder)) = (words.next(), words.next()) else {
        return Err("TRACKER FOLDER".into());
    };
    let node = Node::builder().tracker(tracker).start().await?;
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (node, folder) = (node.clone(), folder.clone());
        tokio::spawn(async move {
            if let Err(error) = answer(stream, &node, folder.as_ref()).await {
                eprintln!("{error}");
            }
        });
    }
}
