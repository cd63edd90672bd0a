//! Footprints: what a step has touched, and whether the order of two steps can show.
//!
//! A step is one poll of a task, a move of the clock, or a crash. The world writes its footprint down itself,
//! from its own primitives: tasks polled and woken, ends of channels ([`interlock_runtime::env::channel`]),
//! what a stage shares, the disk, faults that are asked for, random numbers. Nobody declares one.
//!
//! What the world cannot see is memory that tasks share behind its back, such as a mutex of the scenario's. So
//! every task belongs to a *memory*, that of whoever spawned it, and a step counts as a write to all of it.
//! Only this crate lets a task begin with a memory of its own, and only where the types say that it holds
//! nothing of the old one ([`crate::stage::Stage::actor_with`], [`crate::node::Node::start`]).
//!
//! The clock, crashes and the end of `main` touch everything: they change what all others may do.
//!
//! Out of reach are statics; but what outlives a run makes runs differ, and the search reports that.

use interlock_runtime::env::Access;

/// Something that two steps may both touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Object {
    /// Whether a task can go on, and where it is.
    Task(u32),
    /// What the tasks of one memory may share behind the world's back.
    Memory(u32),
    /// What tells the world when it is touched.
    Shared(u64),
    /// The random numbers.
    Random,
    /// The wall clock's setting.
    Wall,
    /// The processes.
    Processes,
    /// Whether things fail.
    Faults,
}

/// What a step has touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footprint {
    is_everything: bool,
    touched: Vec<(Object, Access)>,
}

impl Footprint {
    /// Nothing.
    pub(crate) const NONE: Self = Self { is_everything: false, touched: Vec::new() };

    pub(crate) fn touch_everything(&mut self) {
        self.is_everything = true;
    }

    pub(crate) fn touch(&mut self, object: Object, access: Access) {
        match self.touched.iter_mut().find(|(known, _)| *known == object) {
            Some((_, known)) if *known == access => {}
            Some((_, known)) => *known = Access::Write,
            None => self.touched.push((object, access)),
        }
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.is_everything
    }

    /// Whether a task went on or was woken.
    pub(crate) fn touches_task(&self, task: u32) -> bool {
        let is_its = |(object, _): &(Object, Access)| *object == Object::Task(task);
        self.is_everything || self.touched.iter().any(is_its)
    }

    /// Takes in what another step has touched.
    pub(crate) fn join(&mut self, other: &Self) {
        self.is_everything |= other.is_everything;
        for (object, access) in &other.touched {
            self.touch(*object, *access);
        }
    }

    /// Becomes a copy of another one, in the memory that it has.
    pub(crate) fn copy(&mut self, other: &Self) {
        self.is_everything = other.is_everything;
        self.touched.clone_from(&other.touched);
    }

    pub(crate) fn clear(&mut self) {
        self.is_everything = false;
        self.touched.clear();
    }

    /// Whether the order of two steps may show.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.is_everything || other.is_everything || self.meets_in(other, |_| true)
    }

    /// Whether the order of two steps shows in something that the world sees.
    pub(crate) fn races(&self, other: &Self) -> bool {
        self.meets_in(other, |object| !matches!(object, Object::Memory(_)))
    }

    fn meets_in(&self, other: &Self, counts: impl Fn(Object) -> bool) -> bool {
        self.touched.iter().filter(|(object, _)| counts(*object)).any(|(object, access)| {
            let same = other.touched.iter().find(|(theirs, _)| theirs == object);
            same.is_some_and(|(_, theirs)| access != theirs || *access == Access::Write)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_meet_where_one_changes_what_the_other_touches() {
        let of = |access| {
            let mut footprint = Footprint::default();
            footprint.touch(Object::Shared(1), access);
            footprint
        };
        let [read, merge, write] = [Access::Read, Access::Merge, Access::Write].map(of);
        assert!(!read.meets(&read) && !merge.meets(&merge) && !read.meets(&Footprint::default()));
        assert!(read.meets(&merge) && merge.meets(&read));
        assert!(write.meets(&write) && write.meets(&read) && merge.meets(&write));
        let mut everything = Footprint::default();
        everything.touch_everything();
        assert!(everything.meets(&Footprint::default()));
        let mut both = read.clone();
        both.join(&merge);
        assert!(both.meets(&read) && both.meets(&merge));
        let mut elsewhere = Footprint::default();
        elsewhere.touch(Object::Random, Access::Write);
        assert!(!elsewhere.meets(&both));
    }
}
