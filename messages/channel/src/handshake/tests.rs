use super::*;

#[test]
fn early_datagrams_travel_without_the_zeros_at_their_end_as_many_as_fit() {
    let long = [&[1; 500][..], &[0; 700]].concat();
    let datagrams = vec![long.clone(), vec![2; 400], vec![3; 300]];
    let mut space = [0; 1000];
    assert_eq!(write_early(&datagrams, &mut space), 2, "the third does not fit");
    assert_eq!(read_early(&space), Some(vec![long, vec![2; 400]]));
    assert_eq!(read_early(&[0; 100]), Some(Vec::new()));
    let mut wrong = [0; 100];
    wrong[..4].copy_from_slice(&[200, 0, 150, 0]);
    assert_eq!(read_early(&wrong), None, "more than there is");
    wrong[..4].copy_from_slice(&[1, 0, 2, 0]);
    assert_eq!(read_early(&wrong), None, "more than it is long");
    wrong[..4].copy_from_slice(&[0xff, 0xff, 1, 0]);
    assert_eq!(read_early(&wrong), None, "longer than any control datagram");
}
