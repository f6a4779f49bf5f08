-- Counterparty risk: what would each counterparty owe us if it failed now?
--
-- Reads fills and marks of 09-position-monitoring.sql; the venue of a fill stands for who is on the
-- other side. Unsettled trades with a counterparty net within a symbol: what they have gained since
-- they were made is the replacement cost. counterparty_board takes the collateral off, at_risk, and
-- says how much of the credit line that uses.

CREATE TABLE counterparties (
  venue TEXT PRIMARY KEY, credit_line DOUBLE PRECISION NOT NULL, collateral DOUBLE PRECISION NOT NULL
);
INSERT INTO counterparties VALUES
  ('XNAS', 25000, 100), ('XNYS', 20000, 0), ('ARCX', 10000, 50), ('BATS', 10000, 0),
  ('EDGX', 5000, 0), ('IEXG', 5000, 0), ('MEMX', 5000, 0);

CREATE STREAMING VIEW counterparty_positions AS
SELECT venue, symbol, sum(signed_qty(side, size)) AS qty,
       sum(signed_qty(side, size) * price) AS cost
FROM fills GROUP BY venue, symbol;

CREATE STREAMING VIEW counterparty_exposure AS
SELECT p.venue, sum(greatest(p.qty * m.mark - p.cost, 0.0)) AS replacement_cost,
       gross_exposure(p.qty * m.mark) AS gross
FROM counterparty_positions AS p JOIN marks AS m ON p.symbol = m.symbol
GROUP BY p.venue;

CREATE STREAMING VIEW counterparty_board AS
SELECT e.venue, e.replacement_cost, e.gross,
       greatest(e.replacement_cost - c.collateral, 0.0) AS at_risk,
       greatest(e.replacement_cost - c.collateral, 0.0) / c.credit_line AS line_used
FROM counterparty_exposure AS e JOIN counterparties AS c ON e.venue = c.venue;

SELECT venue, round(replacement_cost, 2) AS replacement_cost, round(at_risk, 2) AS at_risk,
       round(line_used, 4) AS line_used
FROM counterparty_board ORDER BY line_used DESC;
