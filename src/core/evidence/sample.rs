//! Which of a population is looked at one by one. Nobody chooses: the ledger's
//! last hash orders them, which nobody knew before the report was made.

use crate::core::ledger::Hash;

/// A population up to this size is looked at whole.
const WHOLE: usize = 25;
/// Of a larger one a tenth, and no more than this.
const MOST: usize = 60;

/// The sample, in the order of the population.
pub fn draw(population: &[String], control: &str, seed: &str) -> Vec<String> {
    let size = (population.len() / 10).clamp(WHOLE, MOST);
    let mut ranked: Vec<(String, usize)> = population
        .iter()
        .enumerate()
        .map(|(index, id)| (Hash::of(format!("{seed}\n{control}\n{id}").as_bytes()).to_string(), index))
        .collect();
    ranked.sort_unstable();
    let mut chosen: Vec<usize> = ranked.into_iter().take(size).map(|(_, index)| index).collect();
    chosen.sort_unstable();
    chosen.into_iter().filter_map(|index| population.get(index).cloned()).collect()
}

/// How it is drawn, for whoever draws it again.
pub const HOW: &str = "Populations of up to 25 are looked at whole. Of larger ones a tenth is drawn, at least 25 \
    and at most 60: those whose SHA-256 of the seed, the control's number and the id, each on its own line, \
    is lowest. The seed is the hash of the ledger's last line here.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_alone_decides() {
        let ids = |count: usize| (0..count).map(|n| format!("grt-{n}")).collect::<Vec<_>>();
        for (population, size) in [(0, 0), (1, 1), (25, 25), (26, 25), (400, 40), (10_000, 60)] {
            assert_eq!(draw(&ids(population), "R9.1", "a").len(), size, "{population}");
        }
        let all = ids(300);
        let drawn = draw(&all, "R9.1", "a");
        assert_eq!(drawn, draw(&all, "R9.1", "a"));
        assert_ne!(drawn, draw(&all, "R9.1", "b"));
        assert_ne!(drawn, draw(&all, "R9.2", "a"));
        assert!(drawn.iter().all(|id| all.contains(id)));
    }
}
