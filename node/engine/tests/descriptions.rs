//! Every committed seed of the fuzz targets as a description of a content, and every one that is cut short.

#[path = "../../fuzz/oracles/metainfo.rs"]
mod metainfo;
#[path = "../../fuzz/oracles/seeds.rs"]
mod seeds;

#[test]
fn every_seed_holds() {
    for (path, bytes) in seeds::all() {
        let held = std::panic::catch_unwind(|| metainfo::hold(&bytes));
        assert!(held.is_ok(), "{} does not hold", path.display());
    }
}

#[test]
fn descriptions_are_read_whole_or_not_at_all() {
    let seeds = seeds::all();
    let own =
        seeds.iter().filter(|(path, _)| path.parent().is_some_and(|folder| folder.ends_with("metainfo")));
    let mut count = 0;
    for (path, bytes) in own {
        let text = bytes.trim_ascii_end();
        assert!(riffle::metainfo::Metainfo::parse(text).is_ok(), "{}", path.display());
        for end in 0..text.len() {
            assert!(
                riffle::metainfo::Metainfo::parse(&text[..end]).is_err(),
                "{} cut at {end}",
                path.display()
            );
        }
        count += 1;
    }
    assert!(count > 0, "there are seeds");
}
