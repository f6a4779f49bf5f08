-- Stress testing: what would the book lose if …?
--
-- Reads position_board and sectors of the examples 09 and 10. scenarios holds price shocks in
-- percent by sector; stress is the book's profit in each scenario, kept fresh while positions and
-- prices move. Insert a scenario and it is there at once.

CREATE TABLE scenarios (
  scenario TEXT NOT NULL, sector TEXT NOT NULL, shock_pct DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (scenario, sector)
);
INSERT INTO scenarios VALUES
  ('technology sells off', 'technology', -12), ('technology sells off', 'semiconductors', -20),
  ('technology sells off', 'retail', -4), ('technology sells off', 'automobiles', -8),
  ('broad rally', 'technology', 6), ('broad rally', 'semiconductors', 9), ('broad rally', 'retail', 4),
  ('broad rally', 'automobiles', 7), ('broad rally', 'index', 5), ('broad rally', 'insurance', 3);

CREATE STREAMING VIEW stress AS
SELECT c.scenario, sum(stress_pnl(p.qty, p.mark, c.shock_pct)) AS pnl, count(*) AS positions
FROM position_board AS p
JOIN sectors AS s ON p.symbol = s.symbol
JOIN scenarios AS c ON s.sector = c.sector
GROUP BY c.scenario;

SELECT scenario, round(pnl, 0) AS pnl, positions FROM stress ORDER BY pnl;
