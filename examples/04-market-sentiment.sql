-- Market sentiment: who is in a hurry, buyers or sellers?
--
-- sentiment looks at ten-second windows from two sides. trade_imbalance is bought less sold volume
-- over their sum, from -1 to 1, by the side that crossed the spread. order_flow counts what was
-- added to and taken from the best bid and ask (Cont, Kukanov and Stoikov): it moves before trades
-- do. net_flow sums signed volume since the start.

CREATE STREAMING VIEW trade_sentiment AS
SELECT window_start, window_end, window_time, symbol,
       trade_imbalance(size, side) AS trade_imbalance, sum(signed_qty(side, size)) AS signed_volume
FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '10' SECOND)
GROUP BY window_start, window_end, window_time, symbol
EMIT ON WINDOW CLOSE;

CREATE STREAMING VIEW quote_sentiment AS
SELECT window_start, window_end, window_time, symbol,
       order_flow_imbalance(bid, bid_size, ask, ask_size, ts) AS order_flow
FROM TUMBLE(TABLE quotes, DESCRIPTOR(ts), INTERVAL '10' SECOND)
GROUP BY window_start, window_end, window_time, symbol
EMIT ON WINDOW CLOSE;

CREATE STREAMING VIEW sentiment AS
SELECT t.window_start, t.symbol, t.trade_imbalance, t.signed_volume, q.order_flow
FROM trade_sentiment AS t JOIN quote_sentiment AS q
  ON t.symbol = q.symbol AND t.window_time = q.window_time;

CREATE STREAMING VIEW net_flow AS
SELECT window_start, symbol,
       sum(signed_volume) OVER (PARTITION BY symbol ORDER BY window_time) AS net_volume
FROM trade_sentiment;

SELECT window_start, symbol, round(trade_imbalance, 2) AS trade_imbalance, order_flow
FROM sentiment ORDER BY window_start DESC, abs(trade_imbalance) DESC LIMIT 10;
