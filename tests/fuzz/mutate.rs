//! New inputs from old ones.

/// The longest input that is made: beyond it nothing new is found, only slowly.
const LONGEST: usize = 4096;

/// Xorshift: the same inputs for the same seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `n`, and 0 for 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() >> 16) as usize % n.max(1)
    }
}

/// One of the pool with a few changes, newer ones more often than older ones.
pub fn input(random: &mut Random, pool: &[Vec<u8>], dictionary: &[&[u8]]) -> Vec<u8> {
    let recent = pool.len() / 2;
    let at = if random.below(3) == 0 {
        recent + random.below(pool.len() - recent)
    } else {
        random.below(pool.len())
    };
    let mut input = pool.get(at).cloned().unwrap_or_default();
    for _ in 0..1 + random.below(4) {
        change(random, &mut input, pool, dictionary);
    }
    input.truncate(LONGEST);
    input
}

fn change(random: &mut Random, input: &mut Vec<u8>, pool: &[Vec<u8>], dictionary: &[&[u8]]) {
    let at = random.below(input.len() + 1);
    let run = at..(at + 1 + random.below(16)).min(input.len()).max(at);
    match random.below(12) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
        2 => input.insert(at, random.next() as u8),
        3 => drop(input.drain(run)),
        4 => {
            let copy = input[run].to_vec();
            input.splice(at..at, copy);
        }
        // A length, a count: what headers hold.
        5 => {
            let interesting =
                [0, 1, 3, 4, 5, 8, 255, 0x7fff, 0xffff, 0x0001_0000, 0x4000_0000, 0x7fff_ffff, u32::MAX];
            let value = interesting[random.below(interesting.len())].to_be_bytes();
            let from = random.below(3).min(2);
            let to = (at + 4 - from).min(input.len()).max(at);
            input.splice(at..to, value[from..].iter().copied());
        }
        6..=8 if !dictionary.is_empty() => {
            let word = dictionary[random.below(dictionary.len())];
            let over = if random.below(2) == 0 { at..at } else { run };
            input.splice(over, word.iter().copied());
        }
        // The tail of another, or a piece of it in between.
        9 | 10 => {
            let other = &pool[random.below(pool.len())];
            let from = random.below(other.len() + 1);
            let to =
                if random.below(2) == 0 { other.len() } else { (from + random.below(64)).min(other.len()) };
            let end = if random.below(2) == 0 { input.len() } else { at };
            input.splice(at..end, other[from..to].iter().copied());
        }
        _ => {
            let other = random.below(input.len() + 1);
            if at < input.len() && other < input.len() {
                input.swap(at, other);
            }
        }
    }
}
