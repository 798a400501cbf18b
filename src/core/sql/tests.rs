use super::*;

#[test]
fn reads_a_statement() {
    let facts = analyse("SELECT 1").unwrap();
    assert_eq!(facts.statements.len(), 1);
}
