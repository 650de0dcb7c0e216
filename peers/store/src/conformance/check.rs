//! The list of all checks, and the macro that makes tests of them.

use std::future::Future;
use std::pin::Pin;

use super::{copying, data, exclusive, hashing, listing, locking, names, space, syncing};
use crate::contract::Store;

/// A check that runs on some store.
pub type CheckFuture<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// One of the checks that every store must pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    number: usize,
}

macro_rules! checks {
    ($($module:ident::$name:ident,)*) => {
        /// The names, in order.
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        impl Check {
            /// Starts the check on this store, which must be empty.
            pub fn start<'a, S: Store>(&self, store: &'a S) -> CheckFuture<'a> {
                let starts: &[fn(&'a S) -> CheckFuture<'a>] =
                    &[$(|store| Box::pin($module::$name(store))),*];
                starts[self.number](store)
            }
        }

        /// Makes a test of each check: `$run` is a `fn(Check)` that makes an empty store and runs the check on it.
        #[macro_export]
        macro_rules! conformance_tests {
            ($run:path) => {
                $(#[test]
                fn $name() {
                    $run($crate::conformance::Check::named(stringify!($name)));
                })*
            };
        }
    };
}

impl Check {
    pub fn all() -> impl Iterator<Item = Check> {
        let names = NAMES.iter().enumerate();
        names.map(|(number, name)| Check { name, number })
    }

    /// Does it need objects longer than a store must allow?
    pub fn needs_long_objects(&self) -> bool {
        self.name == "far_offsets_work"
    }

    /// The check of this name.
    ///
    /// # Panics
    /// If there is none.
    pub fn named(name: &str) -> Check {
        Self::all()
            .find(|check| check.name == name)
            .expect("the macro names checks of its own list")
    }
}

checks! {
    data::what_was_written_is_read,
    data::holes_and_gaps_read_as_zeros,
    data::reads_are_short_only_at_the_end,
    data::empty_writes_create_and_extend_nothing,
    data::empty_reads_read_nothing,
    data::overlapping_writes_leave_the_last_one,
    data::distant_offsets_work,
    data::far_offsets_work,
    data::impossible_ranges_are_refused,
    data::missing_objects_are_not_found,
    data::large_transfers_arrive_whole,
    data::write_full_replaces_the_whole,
    data::extend_lengthens_and_never_shortens,
    names::every_byte_can_be_in_a_name,
    names::hostile_names_are_names_like_any_other,
    names::long_names_are_told_apart,
    names::names_that_differ_in_case_or_ending_are_different,
    exclusive::an_object_is_created_once,
    exclusive::of_two_creators_one_wins,
    copying::a_copy_is_equal_and_separate,
    copying::a_missing_source_creates_nothing,
    copying::a_copy_ends_where_its_source_ends,
    copying::a_copy_replaces_a_longer_object,
    copying::an_object_is_not_copied_onto_itself,
    copying::a_copy_of_holes_is_zeros,
    space::a_deleted_object_is_gone_once,
    space::a_name_can_be_used_again_after_deletion,
    space::a_punched_range_is_zero_and_given_back,
    space::a_punch_ends_with_the_object,
    space::holes_take_no_space_and_reservations_do,
    listing::a_group_is_listed_exactly,
    listing::a_listing_comes_in_pages,
    listing::odd_names_are_listed_as_they_are,
    listing::all_groups_are_found,
    hashing::a_hash_is_of_the_content_without_trailing_zeros,
    syncing::a_sync_covers_whatever_is_there,
    syncing::healing_what_is_well_changes_nothing,
    locking::a_lock_is_its_owners_again_and_again,
    locking::a_lock_is_refused_to_others_by_name,
    locking::what_is_not_held_is_not_given_back,
    locking::a_broken_lock_has_a_greater_token_next,
    locking::tokens_grow_at_every_change_of_owner,
    locking::a_waiter_gets_the_lock_when_it_is_given_back,
    locking::a_waiter_that_gives_up_leaves_no_trace,
    locking::of_many_who_want_a_lock_each_has_it_once,
    locking::a_forgotten_lock_is_free,
    locking::a_lock_is_forgotten_by_its_owner_alone,
    locking::of_many_who_take_and_forget_a_lock_each_has_it_alone,
    locking::locks_and_objects_of_one_name_are_two_things,
}
