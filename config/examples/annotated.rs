//! Prints the annotated defaults, to be put into `config/node.toml` or `config/tracker.toml` after a change:
//! `cargo run -q -p config --example annotated node > config/node.toml`

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("node") => print!("{}", config::NodeSettings::annotated_defaults()),
        Some("tracker") => print!("{}", config::TrackerSettings::annotated_defaults()),
        _ => eprintln!("write `node` or `tracker`"),
    }
}
