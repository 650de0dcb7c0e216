//! Ranges at the edges, and what a volume says of itself.

use archipelago_protocol::{BLOCK_STATUS, CHANGE_BYTES, CHANGED, Change, EXTENT_BYTES, Extent};
use xseg::{Errno, OpCode, flags};

use crate::world::run;

const SIZE: u64 = 3 * 65536 + 777;

#[test]
fn what_was_written_is_read_and_the_rest_is_zero() {
    run(1, SIZE, |world| async move {
        let client = world.client("v");
        assert_eq!(client.read(0, SIZE).await.unwrap(), vec![0; SIZE as usize]);
        assert_eq!(world.blocker.count_of(OpCode::READ), 0, "zero is free (M5)");
        let text: Vec<u8> = (0..70_000_u32).map(|at| (at % 251) as u8).collect();
        assert_eq!(client.write(1000, &text).await, Ok(70_000));
        let mut expected = vec![0; SIZE as usize];
        expected[1000..71_000].copy_from_slice(&text);
        assert_eq!(client.read(0, SIZE).await.unwrap(), expected);
        // In the steady state the mapper is not asked (W2).
        let before = world.mapper.asked.borrow().clone();
        assert_eq!(client.write(5000, &[9; 10_000]).await, Ok(10_000));
        expected[5000..15_000].fill(9);
        assert_eq!(
            client.read(100, 20_000).await.unwrap(),
            expected[100..20_100]
        );
        assert_eq!(*world.mapper.asked.borrow(), before);
    });
}

/// F45, F72
#[test]
fn ranges_end_where_the_volume_ends() {
    run(2, SIZE, |world| async move {
        let client = world.client("v");
        assert_eq!(client.write(SIZE - 1, &[7]).await, Ok(1));
        assert_eq!(client.read(SIZE - 1, 1).await, Ok(vec![7]));
        assert_eq!(client.write(SIZE - 1, &[7, 7]).await, Err(Errno::INVAL));
        assert_eq!(client.read(SIZE, 1).await, Err(Errno::INVAL));
        let zeroes = OpCode::WRITE_ZEROES;
        for op in [
            zeroes,
            OpCode::DISCARD,
            OpCode::READ,
            OpCode::WRITE,
            BLOCK_STATUS,
        ] {
            for (offset, len) in [
                (SIZE + 1, 0),
                (u64::MAX, 1),
                (1, u64::MAX),
                (SIZE, 1),
                (0, SIZE + 1),
            ] {
                let refused = client.plain(op, offset, len).await;
                assert_eq!(refused, Err(Errno::INVAL), "{op} {offset} {len}");
            }
            assert_eq!(client.plain(op, SIZE, 0).await, Ok(0), "{op}");
        }
        assert_eq!(
            client.plain(OpCode::READ, 0, 1).await,
            Err(Errno::INVAL),
            "no room"
        );
        assert_eq!(
            client.plain(OpCode::DISCARD, SIZE - 777, 777).await,
            Ok(777)
        );
        assert_eq!(client.read(SIZE - 1, 1).await, Ok(vec![0]));
    });
}

#[test]
fn zeroes_and_discards_take_whole_sub_blocks_out_of_the_map() {
    run(3, SIZE, |world| async move {
        let client = world.client("v");
        let mut expected = vec![5; SIZE as usize];
        client.write(0, &expected).await.unwrap();
        client.plain(OpCode::DISCARD, 4000, 10_000).await.unwrap();
        expected[4096..12_288].fill(0);
        assert_eq!(client.read(0, SIZE).await.unwrap(), expected);
        client
            .plain(OpCode::WRITE_ZEROES, 60_000, 10_000)
            .await
            .unwrap();
        expected[60_000..70_000].fill(0);
        assert_eq!(client.read(0, SIZE).await.unwrap(), expected);
        client
            .plain(OpCode::WRITE_ZEROES, 20_000, 100)
            .await
            .unwrap();
        expected[20_000..20_100].fill(0);
        assert_eq!(client.read(0, SIZE).await.unwrap(), expected);
        client.write(5000, &[6; 3]).await.unwrap();
        expected[5000..5003].fill(6);
        assert_eq!(client.read(0, SIZE).await.unwrap(), expected);

        let room = vec![0; 2 * EXTENT_BYTES];
        let reply = client
            .ask(BLOCK_STATUS, 0, (100, SIZE - 100), Some(&room))
            .await;
        let mut told = vec![0; reply.result().unwrap() as usize * EXTENT_BYTES];
        reply.data().unwrap().read(0, &mut told).unwrap();
        let extent = |bytes, is_hole| Extent { bytes, is_hole };
        let told = Extent::read_all(&told).unwrap();
        assert_eq!(told, [extent(8192 - 100, false), extent(4096, true)]);
    });
}

/// F82
#[test]
fn a_snapshot_is_read_and_never_written() {
    run(4, SIZE, |world| async move {
        let client = world.client("v");
        client.write(0, &[1; 9000]).await.unwrap();
        world.mapper.snapshot("v", "s", 2).await;
        client.write(100, &[2; 9000]).await.unwrap();
        let snapshot = world.client("s");
        assert_eq!(snapshot.read(0, 9000).await.unwrap(), vec![1; 9000]);
        assert_eq!(snapshot.write(0, &[3]).await, Err(Errno::ROFS));
        for op in [OpCode::DISCARD, OpCode::WRITE_ZEROES] {
            assert_eq!(snapshot.plain(op, 0, 4096).await, Err(Errno::ROFS));
        }
        let told = snapshot.ask(OpCode::INFO, 0, (0, 0), None).await;
        assert_eq!(told.args(), [SIZE, 1, 4096, 0]);
        let told = client.ask(OpCode::INFO, 0, (0, 0), None).await;
        assert_eq!(told.args(), [SIZE, 0, 4096, 0]);
        assert_eq!(world.client("nobody").read(0, 1).await, Err(Errno::NOENT));
    });
}

/// F74
#[test]
fn unknown_operations_are_refused_and_durable_writes_flush() {
    run(5, SIZE, |world| async move {
        let client = world.client("v");
        assert_eq!(client.plain(OpCode(999), 0, 0).await, Err(Errno::OPNOTSUPP));
        let extent = (0, 4);
        client
            .ask(OpCode::WRITE, flags::FUA, extent, Some(b"four"))
            .await;
        assert_eq!(world.mapper.count_of(OpCode::FLUSH), 1);
        assert_eq!(client.plain(OpCode::FLUSH, 0, 0).await, Ok(0));
        assert_eq!(world.mapper.count_of(OpCode::FLUSH), 2);
    });
}

/// What CHANGED says of a range of `v` since the snapshot, as many runs as there is room for.
async fn changed(
    client: &crate::client::Client,
    since: &str,
    (offset, len): (u64, u64),
    room: usize,
) -> Result<Vec<(u64, bool)>, Errno> {
    let buffer = client.station.buffer(4096).await.unwrap();
    let mut draft = client.station.draft(CHANGED).await.unwrap();
    draft.set_target(client.volume.as_bytes()).unwrap();
    draft.set_snapshot(since.as_bytes()).unwrap();
    draft.set_extent(offset, len);
    draft.attach(buffer, (room * CHANGE_BYTES) as u64).unwrap();
    let reply = client.station.call(draft, client.composer).await.unwrap();
    let mut told = vec![0; reply.result()? as usize * CHANGE_BYTES];
    reply.data().unwrap().read(0, &mut told).unwrap();
    let told = Change::read_all(&told).unwrap();
    Ok(told.iter().map(|run| (run.bytes, run.is_changed)).collect())
}

/// What DIFFERENCE-2 comes to
#[test]
fn what_changed_since_a_snapshot_is_what_was_written_or_discarded() {
    run(5, SIZE, |world| async move {
        let client = world.client("v");
        client.write(0, &[1; 3 * 65536]).await.unwrap();
        world.mapper.snapshot("v", "s", 2).await;
        let all = (0, SIZE);
        assert_eq!(changed(&client, "s", all, 8).await, Ok(vec![(SIZE, false)]));
        client.write(8192 + 100, &[2; 50]).await.unwrap();
        client.plain(OpCode::DISCARD, 65536, 4096).await.unwrap();
        client.write(SIZE - 1, &[3]).await.unwrap();
        let told = changed(&client, "s", all, 8).await.unwrap();
        let expected = [
            (8192, false),
            (4096, true),
            (65536 - 12_288, false),
            (4096, true),
            (2 * 65536 - 4096, false),
            (777, true),
        ];
        assert_eq!(told, expected);
        // No more than there is room for, and from the middle on.
        let told = changed(&client, "s", (8192 + 4000, 1000), 1).await;
        assert_eq!(told, Ok(vec![(96, true)]));
        // A snapshot since itself, and since one before it.
        world.mapper.snapshot("v", "t", 3).await;
        let snapshot = world.client("t");
        assert_eq!(
            changed(&snapshot, "t", all, 8).await,
            Ok(vec![(SIZE, false)])
        );
        assert_eq!(changed(&snapshot, "s", all, 8).await.unwrap(), expected);
        assert_eq!(changed(&client, "s", (0, 0), 8).await, Ok(vec![]));
        for (since, errno) in [
            ("none", Errno::NOENT),
            ("v", Errno::INVAL),
            ("", Errno::NOENT),
        ] {
            let refused = changed(&client, since, all, 8).await;
            assert_eq!(refused, Err(errno), "{since:?}");
        }
        let outside = changed(&client, "s", (1, SIZE), 8).await;
        assert_eq!(outside, Err(Errno::INVAL));
        assert_eq!(changed(&client, "s", all, 0).await, Err(Errno::INVAL));
    });
}
