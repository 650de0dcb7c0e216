//! A composer in a few lines: it looks up every time, and writes whole sub-blocks.

use archipelago_mapperd::engine::{
    ComposerId, CreateOptions, Granted, MapError, Mapper, Volume, World,
};
use archipelago_mapperd::map::{Shape, object_name};
use archipelago_store::{ObjectName, Scope, Store, StoreError};

use crate::world::{COMPOSER, SimWorld};

pub const SECTOR_BYTES: usize = 512;
pub const GRAIN_BYTES: usize = 4096;
pub const SECTORS: usize = GRAIN_BYTES / SECTOR_BYTES;

/// What a sub-block says: a number for each sector.
pub type Sub = [u64; SECTORS];

pub fn shape() -> Shape {
    Shape::new(16, 12).unwrap()
}

pub fn bytes_of(sub: &Sub) -> Vec<u8> {
    sub.iter()
        .flat_map(|number| number.to_le_bytes().repeat(SECTOR_BYTES / 8))
        .collect()
}

pub fn sub_of(bytes: &[u8]) -> Sub {
    let mut sub = [0; SECTORS];
    for (number, sector) in sub.iter_mut().zip(bytes.chunks_exact(SECTOR_BYTES)) {
        *number = u64::from_le_bytes(sector[..8].try_into().unwrap());
        assert!(
            sector.chunks_exact(8).all(|word| word == &sector[..8]),
            "a torn sector"
        );
    }
    sub
}

/// An empty volume.
pub async fn create_new(mapper: &Mapper<SimWorld>, name: &str, size: u64) {
    let options = CreateOptions {
        size: Some(size),
        origin: None,
        shape: shape(),
    };
    let id = mapper.base().world.random_id();
    mapper.create(name, id, &options).await.unwrap();
}

pub async fn snapshot(mapper: &Mapper<SimWorld>, of: &str, name: &str) {
    let id = mapper.base().world.random_id();
    mapper.snapshot(of, name, id).await.unwrap();
}

pub async fn write_sub(
    mapper: &Mapper<SimWorld>,
    volume: &Volume<SimWorld>,
    sub: u64,
    value: &Sub,
) -> Result<(), MapError> {
    write_sub_as(COMPOSER, mapper, volume, sub, value).await
}

/// Writes one sub-block, as a composer does: in place if that is allowed, else in a new place.
pub async fn write_sub_as(
    composer: ComposerId,
    mapper: &Mapper<SimWorld>,
    volume: &Volume<SimWorld>,
    sub: u64,
    value: &Sub,
) -> Result<(), MapError> {
    let subs = u64::from(volume.shape.subs());
    let (block, in_block) = (sub / subs, (sub % subs) as u16);
    let world = &mapper.base().world;
    let operation = world.begin_operation(composer);
    let at = u64::from(in_block) * GRAIN_BYTES as u64;
    let map = volume.block(block).await?;
    if let Some(source) = map.source_at(in_block)
        && volume.with_state(|state| {
            state.is_writable(source) && source.stamp() > Some(state.told_floor())
        })
    {
        let object = object_name(source, block);
        let bytes = bytes_of(value);
        let written = world.data().write(scope_of(volume), &object, at, &bytes);
        return written.await.map_err(store);
    }
    drop(operation);
    let granted = volume
        .grant(composer, block, in_block..in_block + 1)
        .await?;
    let operation = world.begin_operation(composer);
    let written = write_granted(mapper, volume, &granted, sub, value).await;
    drop(operation);
    if written.is_err() {
        volume.give_up(composer, granted.number);
        return written;
    }
    volume.commit(composer, granted.number).await.map(|_| ())
}

/// Fills a granted object, with what is granted beyond the sub-block copied up.
async fn write_granted(
    mapper: &Mapper<SimWorld>,
    volume: &Volume<SimWorld>,
    granted: &Granted,
    sub: u64,
    value: &Sub,
) -> Result<(), MapError> {
    let subs = u64::from(volume.shape.subs());
    let (block, in_block) = (sub / subs, (sub % subs) as u16);
    let data = mapper.base().world.data();
    let at = u64::from(in_block) * GRAIN_BYTES as u64;
    let scope = scope_of(volume);
    let object = object_name(granted.source, block);
    if granted.is_fresh {
        let bytes = volume.shape.object_bytes();
        data.extend(scope, &object, bytes, false)
            .await
            .map_err(store)?;
    }
    // What was granted beyond the one sub-block is copied up.
    for other in granted.subs.clone().filter(|other| *other != in_block) {
        if let Some(old) = granted.map.source_at(other) {
            let at = u64::from(other) * GRAIN_BYTES as u64;
            let mut bytes = vec![0; GRAIN_BYTES];
            let read = data
                .read(&object_name(old, block), at, &mut bytes)
                .await
                .map_err(store)?;
            assert_eq!(read, GRAIN_BYTES);
            data.write(scope, &object, at, &bytes)
                .await
                .map_err(store)?;
        }
    }
    data.write(scope, &object, at, &bytes_of(value))
        .await
        .map_err(store)?;
    Ok(())
}

pub fn lock_of(volume: &Volume<SimWorld>) -> ObjectName {
    ObjectName::new(format!("lock/{}", volume.id).as_bytes()).unwrap()
}

pub fn scope_of(volume: &Volume<SimWorld>) -> Scope {
    let bytes = volume.id.as_bytes()[..8].try_into().unwrap();
    Scope(u64::from_le_bytes(bytes))
}

fn store(source: StoreError) -> MapError {
    MapError::Store {
        action: "write",
        object: String::new(),
        source,
    }
}

pub async fn read_sub(
    mapper: &Mapper<SimWorld>,
    volume: &Volume<SimWorld>,
    sub: u64,
) -> Result<Sub, MapError> {
    let subs = u64::from(volume.shape.subs());
    let (block, in_block) = (sub / subs, (sub % subs) as u16);
    let map = volume.block(block).await?;
    read_from(mapper, map.source_at(in_block), block, in_block).await
}

pub async fn read_from(
    mapper: &Mapper<SimWorld>,
    source: Option<archipelago_mapperd::map::Source>,
    block: u64,
    in_block: u16,
) -> Result<Sub, MapError> {
    let Some(source) = source else {
        return Ok([0; SECTORS]);
    };
    let object = object_name(source, block);
    let mut bytes = vec![0; GRAIN_BYTES];
    let at = u64::from(in_block) * GRAIN_BYTES as u64;
    match mapper
        .base()
        .world
        .data()
        .read(&object, at, &mut bytes)
        .await
    {
        Ok(GRAIN_BYTES) => Ok(sub_of(&bytes)),
        Ok(short) => panic!("{object} ends {short} bytes into a sub-block that is mapped"),
        Err(StoreError::NotFound) => panic!("{object} is mapped and missing"),
        Err(source) => Err(MapError::Store {
            action: "read",
            object: object.to_string(),
            source,
        }),
    }
}
