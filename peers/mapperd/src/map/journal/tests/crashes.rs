//! A journal on a disk that forgets: processes die with writes half done, power fails with sectors of unsynced writes
//! on the disk in any choice, and each opening goes on over what the one before left there.
//!
//! The model is the list of records that the openings took and appended: the *line*. After every crash what is replayed
//! must begin the line (LOG-1), and be as long as was promised (LOG-2). Then the line is cut to it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const SEGMENT_BYTES: usize = 4096;
/// Power loss keeps or loses this much at a time. Smaller than any real sector: more ways to tear a record.
const SECTOR_BYTES: usize = 16;

/// What happens, with numbers that choose among the ways in which it can.
#[derive(Clone, Debug)]
enum Step {
    /// Records are appended by one write each, all at once; all are answered.
    Append(Vec<Record>),
    /// A barrier is appended and the journal synced, as a FLUSH does.
    Barrier,
    /// The process dies during writes of these records: the bits say of which nothing, a beginning or all was done.
    Die(Vec<Record>, u64),
    /// The power fails. The bits say which sectors that were not synced are as they were written.
    LosePower(Vec<bool>),
}

fn step() -> impl Strategy<Value = Step> {
    let record = prop_oneof![
        3 => (0..1_000_000_u64).prop_map(numbered),
        2 => Just(Record::Barrier),
        1 => "[a-z]{0,20}".prop_map(|name| Record::Name { name }),
    ];
    let records = || vec(record.clone(), 1..5);
    prop_oneof![
        4 => records().prop_map(Step::Append),
        2 => Just(Step::Barrier),
        2 => (records(), any::<u64>()).prop_map(|(records, bits)| Step::Die(records, bits)),
        3 => vec(any::<bool>(), SEGMENT_BYTES / SECTOR_BYTES).prop_map(Step::LosePower),
    ]
}

struct Machine {
    boots: u8,
    /// What the disk has for sure.
    durable: Vec<u8>,
    /// What reads see: the page cache.
    cached: Vec<u8>,
    appender: Appender,
    line: Vec<Record>,
    /// So much of the line counts after the death of the process.
    answered: usize,
    /// So much of the line counts after power loss.
    promised: usize,
}

impl Machine {
    fn new(stale: &[u8]) -> Self {
        let mut durable = vec![0; SEGMENT_BYTES];
        durable[..stale.len()].copy_from_slice(stale);
        let mut machine = Self {
            boots: 1,
            cached: durable.clone(),
            durable,
            appender: Appender::begin(start(), BootId([1; 16]), &mut Vec::new()),
            line: Vec::new(),
            answered: 0,
            promised: 0,
        };
        machine.open();
        machine
    }

    fn boot(&self) -> BootId {
        BootId([self.boots; 16])
    }

    fn write(&mut self, at: u64, bytes: &[u8]) {
        let at = usize::try_from(at).expect("within the segment");
        self.cached[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn sync(&mut self) {
        self.durable.clone_from(&self.cached);
        self.promised = self.line.len();
    }

    /// Replays, holds the outcome against the model, and goes on behind it.
    fn open(&mut self) {
        let replayed = Replayed::over(&self.cached, start(), self.boot()).expect("nothing unknown");
        let taken = replayed.records.len();
        assert!(
            self.line.starts_with(&replayed.records),
            "{replayed:?}\n{:?}",
            self.line
        );
        assert!(
            taken >= self.answered.max(self.promised),
            "{replayed:?}\n{:?}",
            self.line
        );
        self.line.truncate(taken);
        let mut bytes = Vec::new();
        self.appender = Appender::begin(replayed.end, self.boot(), &mut bytes);
        self.line.push(Record::Barrier);
        self.write(replayed.end.offset, &bytes);
        self.sync();
        self.answered = self.line.len();
    }

    /// The bytes of each of these records and where they go. They are on the line from now on.
    fn make(&mut self, records: Vec<Record>) -> Vec<(u64, Vec<u8>)> {
        let mut writes = Vec::new();
        for record in records {
            let (at, mut bytes) = (self.appender.end().offset, Vec::new());
            self.appender
                .append(&record, &mut bytes)
                .expect("good records");
            self.line.push(record);
            writes.push((at, bytes));
        }
        writes
    }

    fn append(&mut self, records: Vec<Record>) {
        for (at, bytes) in self.make(records) {
            self.write(at, &bytes);
        }
        self.answered = self.line.len();
    }

    fn die(&mut self, records: Vec<Record>, mut bits: u64) {
        for (at, bytes) in self.make(records) {
            let done = match bits % 4 {
                0 => 0,
                1 => bytes.len() * (bits as usize / 4 % 8) / 8,
                _ => bytes.len(),
            };
            bits = bits.rotate_right(5);
            self.write(at, &bytes[..done]);
        }
        self.open();
    }

    fn lose_power(&mut self, kept: &[bool]) {
        for (sector, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
            let range = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
            self.durable[range.clone()].copy_from_slice(&self.cached[range]);
        }
        self.cached.clone_from(&self.durable);
        self.boots += 1;
        self.answered = 0;
        self.open();
    }

    fn has_room(&self) -> bool {
        self.appender.end().offset as usize + 512 < SEGMENT_BYTES
    }
}

fn run(stale: &[u8], steps: Vec<Step>) {
    let mut machine = Machine::new(stale);
    for step in steps {
        if !machine.has_room() {
            return;
        }
        match step {
            Step::Append(records) => machine.append(records),
            Step::Barrier => {
                machine.append(vec![Record::Barrier]);
                machine.sync();
            }
            Step::Die(records, bits) => machine.die(records, bits),
            Step::LosePower(kept) => machine.lose_power(&kept),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// LOG-1, LOG-2
    #[test]
    fn what_counts_begins_what_was_written_and_has_all_that_was_promised(steps in vec(step(), 1..30)) {
        run(&[], steps);
    }

    /// LOG-1: the space had another journal before, whose records have the same sequence numbers.
    #[test]
    fn an_older_use_of_the_space_does_not_count(
        older in vec((0..9_u64).prop_map(numbered), 1..20),
        same_name: bool,
        steps in vec(step(), 1..10),
    ) {
        let number = if same_name { 3 } else { 9 };
        let mut from = Position::start_of(any::volume(1), 2, number, 100);
        // Of a segment of the same name only what was cut off in its middle can lie there.
        from.sequence += u64::from(same_name);
        let (stale, _) = written(from, BootId([77; 16]), &older);
        run(&stale, steps);
    }
}
