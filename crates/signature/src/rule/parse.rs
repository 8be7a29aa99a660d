//! Text of rules to [`Rule`](super::Rule), or a refusal with its reason.
