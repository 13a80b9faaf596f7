//! How writers that cannot lock agree on one of several claims: they only add votes, and see all that was added before they look.
//!
//! It is commit-adopt (Gafni, "Round-by-round fault detectors", 1998) in rounds. In each round a writer proposes a claim, looks, confirms its
//! claim, firmly where nobody proposed another, and looks again. Where all confirmations of a round are firm, it is decided: whoever confirms in
//! that round later finds a firm one, and goes on with the same claim. It is safe however slow a writer is or where it dies; it comes to an end as
//! soon as one writer has a round to itself, or all go on with the same claim.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A vote on what there can be only one of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Vote {
    /// What is claimed, see [`crate::ledger::mention::Mention::unique`].
    pub key: String,
    pub round: u32,
    /// The name of a claim.
    pub choice: String,
    /// `None` for a proposal; for a confirmation, whether all proposals that were seen were the same.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub firm: Option<bool>,
}

/// All claims and votes on one key. A claim is a proposal of itself in round 0.
#[derive(Debug, Clone, Default)]
pub struct Ballot {
    claims: Vec<String>,
    rounds: BTreeMap<u32, Round>,
}

#[derive(Debug, Clone, Default)]
struct Round {
    proposals: Vec<String>,
    confirmations: Vec<(String, bool)>,
}

/// One writer's part in it.
#[derive(Debug)]
pub struct Voter {
    key: String,
    round: u32,
    choice: Option<String>,
    confirmed: bool,
}

/// What a writer does after it has looked.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Add this vote, and look again.
    Cast(Vote),
    /// This claim is the one.
    Decided(String),
}

impl Ballot {
    pub fn claim(&mut self, claim: &str) {
        self.claims.push(claim.to_owned());
        self.rounds.entry(0).or_default().proposals.push(claim.to_owned());
    }

    pub fn cast(&mut self, vote: &Vote) {
        let round = self.rounds.entry(vote.round).or_default();
        match vote.firm {
            None => round.proposals.push(vote.choice.clone()),
            Some(firm) => round.confirmations.push((vote.choice.clone(), firm)),
        }
    }

    /// The claim that no later vote can change.
    #[must_use]
    pub fn decided(&self) -> Option<&str> {
        let all_firm = |round: &&Round| !round.confirmations.is_empty() && round.confirmations.iter().all(|(_, firm)| *firm);
        self.rounds.values().find(all_firm).map(|round| round.confirmations[0].0.as_str())
    }

    /// The claim that is decided, or else the likeliest by now.
    #[must_use]
    pub fn likeliest(&self) -> Option<&str> {
        let firm = || self.rounds.values().rev().find_map(Round::firm);
        self.decided().or_else(firm).or(self.claims.iter().min().map(String::as_str))
    }
}

impl Round {
    fn firm(&self) -> Option<&str> {
        self.confirmations.iter().find(|(_, firm)| *firm).map(|(choice, _)| choice.as_str())
    }
}

impl Voter {
    /// One who has added the claim `own`, or none.
    #[must_use]
    pub fn new(key: &str, own: Option<&str>) -> Self {
        Self { key: key.to_owned(), round: 0, choice: own.map(str::to_owned), confirmed: false }
    }

    /// What to do after a look at the ballot, which holds all that was added before. `None` where there is no claim.
    pub fn next(&mut self, ballot: &Ballot) -> Option<Step> {
        if let Some(decided) = ballot.decided() {
            return Some(Step::Decided(decided.to_owned()));
        }
        let round = ballot.rounds.get(&self.round);
        let Some(choice) = self.choice.clone() else {
            let likeliest = ballot.likeliest()?.to_owned();
            return Some(self.propose(likeliest));
        };
        if !self.confirmed {
            self.confirmed = true;
            let alone = round.is_some_and(|round| round.proposals.iter().all(|other| *other == choice));
            return Some(Step::Cast(Vote { key: self.key.clone(), round: self.round, choice, firm: Some(alone) }));
        }
        // A firm one may have been decided on; else all take the least, and so come together.
        let firm = round.and_then(Round::firm).map(str::to_owned);
        let least = round.and_then(|round| round.proposals.iter().min().cloned());
        self.round += 1;
        self.confirmed = false;
        Some(self.propose(firm.or(least).unwrap_or(choice)))
    }

    fn propose(&mut self, choice: String) -> Step {
        self.choice = Some(choice.clone());
        Step::Cast(Vote { key: self.key.clone(), round: self.round, choice, firm: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator, so that a failing order of steps can be played again by its number.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).expect("31 bits") % sides
        }
    }

    enum At {
        Start,
        /// Has looked and will add this.
        Adds(Vote),
        Looks,
        Done(String),
        Dead,
    }

    struct Writer {
        claim: Option<String>,
        voter: Voter,
        at: At,
    }

    fn play(seed: u64) -> Vec<String> {
        let mut dice = Dice(seed);
        let mut ballot = Ballot::default();
        let count = 2 + dice.roll(5);
        let mut writers: Vec<Writer> = (0..count)
            .map(|number| {
                let claim = (number == 0 || dice.roll(4) > 0).then(|| format!("claim {}", dice.roll(1000)));
                Writer { voter: Voter::new("key", claim.as_deref()), claim, at: At::Start }
            })
            .collect();
        let (mut seen_decided, mut steps) = (None::<String>, 0);
        while writers.iter().any(|writer| !matches!(writer.at, At::Done(_) | At::Dead)) {
            steps += 1;
            // After a while one of them has the stage to itself, as sooner or later one has.
            let turn =
                if steps < 400 { dice.roll(count) } else { writers.iter().position(|w| !matches!(w.at, At::Done(_) | At::Dead)).expect("one") };
            let dies = steps < 400 && turn > 0 && dice.roll(60) == 0;
            let writer = &mut writers[turn];
            writer.at = match std::mem::replace(&mut writer.at, At::Dead) {
                At::Done(choice) => At::Done(choice),
                _ if dies => At::Dead,
                At::Dead => At::Dead,
                At::Start => {
                    if let Some(claim) = &writer.claim {
                        ballot.claim(claim);
                    }
                    At::Looks
                }
                At::Adds(vote) => {
                    ballot.cast(&vote);
                    At::Looks
                }
                At::Looks => match writer.voter.next(&ballot) {
                    None => At::Looks,
                    Some(Step::Cast(vote)) => At::Adds(vote),
                    Some(Step::Decided(choice)) => At::Done(choice),
                },
            };
            if let Some(before) = &seen_decided {
                assert_eq!(ballot.likeliest(), Some(before.as_str()), "what is decided stays, seed {seed}");
            }
            seen_decided = seen_decided.or(ballot.decided().map(str::to_owned));
            assert!(steps < 100_000, "it comes to an end, seed {seed}");
        }
        writers.into_iter().filter_map(|writer| if let At::Done(choice) = writer.at { Some(choice) } else { None }).collect()
    }

    #[test]
    fn whatever_the_order_of_steps_and_whoever_dies_all_who_end_agree() {
        for seed in 0..4_000 {
            let choices = play(seed);
            assert!(choices.windows(2).all(|pair| pair[0] == pair[1]), "seed {seed}: {choices:?}");
            assert!(!choices.is_empty(), "the first lives");
        }
    }

    #[test]
    fn alone_one_confirmation_decides() {
        let mut ballot = Ballot::default();
        ballot.claim("mine");
        assert_eq!((ballot.decided(), ballot.likeliest()), (None, Some("mine")));
        let mut voter = Voter::new("key", Some("mine"));
        let Some(Step::Cast(vote)) = voter.next(&ballot) else { panic!("a vote") };
        assert_eq!(vote.firm, Some(true));
        ballot.cast(&vote);
        assert_eq!(voter.next(&ballot), Some(Step::Decided("mine".to_owned())));
    }
}
