//! Geometries from any numbers: errors, or areas that lie apart and inside.

use super::*;
use proptest::prelude::*;

fn numbers() -> impl Strategy<Value = (u32, u32, u32, [u32; BUFFER_CLASSES])> {
    (
        prop_oneof![0..40_u32, any::<u32>()],
        prop_oneof![0..40_u32, any::<u32>()],
        prop_oneof![0..5000_u32, any::<u32>()],
        prop_oneof![
            prop::array::uniform12(0..40_u32),
            prop::array::uniform12(any::<u32>())
        ],
    )
}

proptest! {
    // GEOM-1, GEOM-2
    #[test]
    fn any_numbers_give_an_error_or_areas_that_lie_apart_and_inside(
        (ports, static_ports, requests, counts) in numbers()
    ) {
        let Ok(geometry) = Geometry::from_numbers(ports, static_ports, requests, counts) else {
            return Ok(());
        };
        let edges = [
            size_of::<Header>() as u64,
            geometry.ports_at(),
            geometry.stats_at(),
            geometry.requests_at(),
            geometry.owners_at(),
            geometry.owners_at() + 8 * u64::from(geometry.buffers()),
            geometry.buffers_at(),
            geometry.size_bytes(),
        ];
        prop_assert!(edges.is_sorted());
        prop_assert!(geometry.size_bytes() <= SEGMENT_BYTES_MAX);
        prop_assert_eq!(geometry.size_bytes() % 4096, 0);
        let mut last_end = geometry.buffers_at();
        for class in (0..BUFFER_CLASSES).rev() {
            let indices = geometry.class_buffers(class);
            for index in [indices.start, indices.end.saturating_sub(1)] {
                if !indices.contains(&index) { continue; }
                let range = geometry.buffer_range(geometry.buffer(index).unwrap());
                prop_assert_eq!(range.len(), class_bytes(class));
                prop_assert!(range.at() >= last_end || index == indices.start);
                prop_assert!(range.at() + range.len() <= geometry.size_bytes());
                last_end = range.at() + range.len();
            }
        }
    }

    // GEOM-1
    #[test]
    fn a_range_from_the_segment_stays_in_its_buffer(at in any::<u64>(), len in any::<u64>()) {
        let geometry = Geometry::new(4, 2, 8).unwrap().with_buffers(8192, 3).unwrap();
        let buffer = geometry.buffer(1).unwrap();
        let whole = geometry.buffer_range(buffer);
        for at in [at, whole.at().wrapping_add(at % 10_000)] {
            for len in [len, len % 10_000] {
                if let Some(range) = geometry.data_range(buffer, at, len) {
                    prop_assert!(range.at() >= whole.at());
                    prop_assert!(range.at() + range.len() <= whole.at() + whole.len());
                }
            }
        }
    }

    #[test]
    fn a_size_is_used_and_not_exceeded(mib in 1..4096_u64) {
        if let Ok(geometry) = Geometry::fitting(mib << 20, 64, 16, 256) {
            prop_assert!(geometry.size_bytes() <= mib << 20);
            prop_assert!(geometry.size_bytes() >= (mib << 20) / 2 || mib < 16);
        }
    }
}

#[test]
fn each_bad_number_has_its_own_error() {
    assert_eq!(
        Geometry::new(0, 0, 1),
        Err(GeometryError::Ports { given: 0 })
    );
    assert_eq!(
        Geometry::new(4, 5, 1),
        Err(GeometryError::StaticPorts { given: 5, ports: 4 })
    );
    assert_eq!(
        Geometry::new(4, 4, 0),
        Err(GeometryError::Requests { given: 0 })
    );
    let good = Geometry::new(4, 4, 4).unwrap();
    for bytes in [0, 4095, 5000, 16 << 20] {
        assert_eq!(
            good.with_buffers(bytes, 1),
            Err(GeometryError::BufferBytes { given: bytes })
        );
    }
    assert!(matches!(
        good.with_buffers(4096, BUFFERS_MAX + 1),
        Err(GeometryError::Buffers { .. })
    ));
    assert!(matches!(
        good.with_buffers(8 << 20, BUFFERS_MAX),
        Err(GeometryError::TooLarge { .. })
    ));
    assert!(matches!(
        Geometry::fitting(1 << 20, 2000, 1000, 4096),
        Err(GeometryError::TooSmall { .. })
    ));
}

#[test]
fn the_default_division_of_256_mib_has_every_size() {
    let geometry = Geometry::fitting(256 << 20, 512, 256, 4096).unwrap();
    assert!(geometry.buffer_counts().iter().all(|count| *count > 0));
}
