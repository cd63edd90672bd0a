//! Footprints: what a step has touched, and whether the order of two steps can show.
//!
//! A step is one poll of a task, a move of the clock, or a crash. The world writes its footprint down itself,
//! from its own primitives: tasks polled and woken, ends of channels ([`interlock_runtime::env::channel`]),
//! what a stage shares, the disk, faults that are asked for, random numbers. Nobody declares one.
//!
//! What the world cannot see is memory that tasks share behind its back, such as a mutex of the scenario's. So
//! every task belongs to a *memory*, that of whoever spawned it, and a step counts as a write to all of it.
//! A task begins with a memory of its own only where it holds nothing of the old one: the types say so of those of
//! a scenario ([`crate::stage::Stage::actor_with`], [`crate::node::Node::start`]), and the runtime of some of its
//! own ([`World::spawn_apart`](interlock_runtime::env::World::spawn_apart)).
//!
//! The clock and the end of `main` touch everything: they change what all others may do. A crash touches the tasks
//! that fall with it, their memories, and what they drop. Of some steps nothing is left after it: they have looked
//! at things, received something, and changed memory that only their own process has.
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
    /// Which processes there are.
    Processes,
    /// Whether a process has crashed.
    Process(usize),
    /// Whether things fail.
    Faults,
    /// Who is still playing: whoever waits for all wakes with the last.
    Playing,
}

/// What a step has touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Footprint {
    is_everything: bool,
    /// The process with which all that was done is gone.
    goes_with: Option<usize>,
    touched: Vec<(Object, Access)>,
}

impl Footprint {
    /// Nothing.
    pub(crate) const NONE: Self =
        Self { is_everything: false, goes_with: None, touched: Vec::new() };

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

    /// Notes with which process all that was done is gone, if it is: when `dies` holds of whatever was touched.
    pub(crate) fn goes_with(&mut self, process: usize, dies: impl Fn(Object, Access) -> bool) {
        let all = self.touched.iter().all(|(object, access)| dies(*object, *access));
        self.goes_with = (all && !self.is_everything).then_some(process);
    }

    /// Whether nothing of it is left once a process has crashed.
    pub(crate) fn is_gone_with(&self, process: usize) -> bool {
        self.goes_with == Some(process)
    }

    /// Whether it lets somebody who waits for all go on, and another one also has to.
    pub(crate) fn joins(&self, other: &Self) -> bool {
        let joins = |(object, access): &(Object, Access)| {
            *object == Object::Playing && *access == Access::Merge
        };
        !self.is_everything && self.touched.iter().any(joins) && other.touched.iter().any(joins)
    }

    /// Takes in what another step has touched.
    pub(crate) fn join(&mut self, other: &Self) {
        self.is_everything |= other.is_everything;
        self.goes_with = None;
        for (object, access) in &other.touched {
            self.touch(*object, *access);
        }
    }

    /// Becomes a copy of another one, in the memory that it has.
    pub(crate) fn copy(&mut self, other: &Self) {
        self.is_everything = other.is_everything;
        self.goes_with = other.goes_with;
        self.touched.clone_from(&other.touched);
    }

    pub(crate) fn clear(&mut self) {
        self.is_everything = false;
        self.goes_with = None;
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
            same.is_some_and(|(_, theirs)| access != theirs || changes(*access))
        })
    }
}

/// Whether the order of two such accesses may show.
fn changes(access: Access) -> bool {
    match access {
        Access::Read | Access::Merge => false,
        Access::Write | Access::Receive => true,
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
