//! Chance as an argument: a seed gives the same numbers on every machine.

/// `splitmix64`: a full-period generator that any seed will do for. Not for secrets.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 even bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to and without 1.
    pub fn part(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// A number below `end`, which is not zero. The bias is below 2⁻³² for small ends.
    pub fn below(&mut self, end: usize) -> usize {
        assert!(end > 0, "there is nothing to choose from");
        ((u128::from(self.bits()) * end as u128) >> 64) as usize
    }

    /// One of the items, each as often as its weight says; `None` when all weights are zero.
    pub fn weighted<'a, T>(&mut self, items: &'a [T], weight: impl Fn(&T) -> u32) -> Option<&'a T> {
        let total: usize = items.iter().map(|item| weight(item) as usize).sum();
        if total == 0 {
            return None;
        }
        let mut rest = self.below(total);
        items.iter().find(|item| {
            let weight = weight(item) as usize;
            let found = rest < weight;
            rest = rest.saturating_sub(weight);
            found
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_kept_to() {
        let mut chance = Chance::new(7);
        let mut counts = [0_u32; 3];
        for _ in 0..4000 {
            counts[*chance.weighted(&[0_usize, 1, 2], |item| [1, 0, 3][*item]).unwrap()] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((900..1100).contains(&counts[0]), "{counts:?}");
        assert!(chance.weighted(&[1, 2], |_| 0).is_none());
    }
}
