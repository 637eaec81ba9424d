"""How good labels are: rules, guards and confidence on files of judged answers, with and without attackers."""
