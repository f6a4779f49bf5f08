-- Exposure calculation: gross, net, long, short, and how concentrated the book is.
--
-- Reads position_board of 09-position-monitoring.sql. sectors says where each symbol belongs;
-- exposure has a row a sector, book_exposure one for the whole book: gross and net, leverage on a
-- capital of ten million, the share of the three largest positions, and the Herfindahl index of the
-- positions' weights (1 is a single position).

CREATE TABLE sectors (symbol TEXT PRIMARY KEY, sector TEXT NOT NULL);
INSERT INTO sectors VALUES
  ('AAPL', 'technology'), ('NVDA', 'semiconductors'), ('TSLA', 'automobiles'), ('MSFT', 'technology'),
  ('AMZN', 'retail'), ('AMD', 'semiconductors'), ('META', 'technology'), ('GOOGL', 'technology'),
  ('IBM', 'technology'), ('SPY', 'index'), ('AIG', 'insurance');

CREATE STREAMING VIEW exposure AS
SELECT coalesce(s.sector, 'other') AS sector,
       gross_exposure(p.market_value) AS gross, net_exposure(p.market_value) AS net,
       long_exposure(p.market_value) AS long, short_exposure(p.market_value) AS short
FROM position_board AS p LEFT JOIN sectors AS s ON p.symbol = s.symbol
GROUP BY coalesce(s.sector, 'other');

CREATE STREAMING VIEW book_exposure AS
SELECT gross_exposure(market_value) AS gross, net_exposure(market_value) AS net,
       leverage(gross_exposure(market_value), 10000000.0) AS leverage,
       concentration(market_value, 3) AS largest_three, hhi(market_value) AS herfindahl
FROM position_board;

SELECT sector, round(gross, 0) AS gross, round(net, 0) AS net FROM exposure ORDER BY gross DESC;
