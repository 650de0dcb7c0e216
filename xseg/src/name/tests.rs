use super::*;
use proptest::prelude::*;

fn names() -> impl Strategy<Value = Name> {
    (0..PORTS_MAX, any::<u32>()).prop_map(|(port, generation)| Name {
        port: PortId::new(port).unwrap(),
        generation,
    })
}

fn owners() -> impl Strategy<Value = Owner> {
    prop_oneof![
        Just(Owner::Free),
        names().prop_map(Owner::Owned),
        names().prop_map(Owner::Held),
        (names(), 0..PORTS_MAX).prop_map(|(by, to)| Owner::Sent {
            by,
            to: PortId::new(to).unwrap()
        }),
    ]
}

proptest! {
    // NAME-1, NAME-2
    #[test]
    fn owner_words_survive_a_round_trip(owner in owners()) {
        prop_assert_eq!(Owner::unpack(owner.pack()), Some(owner));
        prop_assert_eq!(owner.pack() == Owner::FREE, owner == Owner::Free);
    }

    // NAME-2
    #[test]
    fn an_owner_word_that_unpacks_packs_to_the_same_bits(word in any::<u64>()) {
        if let Some(owner) = Owner::unpack(word) {
            prop_assert_eq!(owner.pack(), word);
        }
    }

    // NAME-2
    #[test]
    fn a_life_word_that_unpacks_packs_to_the_same_bits(word in any::<u64>(), state in 0_u64..5) {
        for word in [word, word as u32 as u64 | (state << 56)] {
            if let Some(life) = Life::unpack(word) {
                prop_assert_eq!(life.pack(), word);
            }
        }
    }
}

#[test]
fn words_of_unknown_states_are_refused() {
    assert_eq!(Owner::unpack(4 << 60), None);
    assert_eq!(Owner::unpack((1 << 60) | (5 << 46)), None);
    assert_eq!(Life::unpack(4 << 56), None);
    assert_eq!(Life::unpack(1 << 40), None);
}

#[test]
fn a_port_number_past_the_last_one_has_no_id() {
    assert_eq!(PortId::new(PORTS_MAX), None);
    assert_eq!(
        PortId::new(PORTS_MAX - 1).map(PortId::get),
        Some(PORTS_MAX - 1)
    );
}
