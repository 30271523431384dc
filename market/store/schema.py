"""Tables of the embedded store: the source document's five under its names and columns, ours beside and after them."""

TABLES = """
CREATE TABLE IF NOT EXISTS ohlcv (
  ts INTEGER NOT NULL, sym TEXT NOT NULL, o REAL, h REAL, l REAL, c REAL, v REAL,
  exchange TEXT NOT NULL, data_source TEXT NOT NULL,
  interval_s INTEGER NOT NULL, revision INTEGER NOT NULL, close_ns INTEGER NOT NULL,
  seq INTEGER NOT NULL, writer TEXT NOT NULL,
  PRIMARY KEY (sym, interval_s, ts, exchange, data_source, revision)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS agent_events (
  ts INTEGER NOT NULL, agent_id TEXT NOT NULL, event_type TEXT NOT NULL, symbol TEXT NOT NULL,
  signal_strength REAL, confidence REAL, competitive_score REAL, metadata TEXT NOT NULL,
  hash_prev TEXT NOT NULL, hash_current TEXT NOT NULL,
  seq INTEGER NOT NULL, writer TEXT NOT NULL, run TEXT NOT NULL, utc_ns INTEGER NOT NULL,
  UNIQUE (ts, writer, seq)
);
CREATE INDEX IF NOT EXISTS agent_events_type ON agent_events (event_type, ts, writer, seq, agent_id, symbol);
CREATE INDEX IF NOT EXISTS agent_events_agent ON agent_events (agent_id, ts, writer, seq, event_type, symbol);
CREATE INDEX IF NOT EXISTS agent_events_symbol ON agent_events (symbol, ts, writer, seq, event_type, agent_id)
  WHERE symbol <> '';
CREATE INDEX IF NOT EXISTS agent_events_writer ON agent_events (writer, ts, seq, event_type, agent_id, symbol);
CREATE TABLE IF NOT EXISTS trades (
  ts INTEGER NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL, quantity REAL NOT NULL, price REAL NOT NULL,
  commission REAL NOT NULL, slippage REAL NOT NULL, strategy_id TEXT NOT NULL, execution_latency_ms INTEGER,
  seq INTEGER NOT NULL, writer TEXT NOT NULL, mode TEXT NOT NULL,
  execution_id TEXT NOT NULL, order_id TEXT NOT NULL, lots INTEGER NOT NULL,
  lots_by_strategy TEXT NOT NULL, crossed_lots INTEGER NOT NULL, realised TEXT NOT NULL,
  UNIQUE (ts, writer, seq)
);
CREATE INDEX IF NOT EXISTS trades_symbol ON trades (symbol, ts, writer, seq);
CREATE INDEX IF NOT EXISTS trades_order ON trades (order_id);
CREATE TABLE IF NOT EXISTS tournament_results (
  ts INTEGER NOT NULL, tournament_id TEXT NOT NULL, strategy_id TEXT NOT NULL, prediction_accuracy REAL,
  challenge_resilience REAL, risk_adjusted_return REAL, capital_allocation_percent REAL, tournament_metrics TEXT,
  seq INTEGER NOT NULL, writer TEXT NOT NULL, mode TEXT NOT NULL,
  UNIQUE (ts, writer, seq)
);
CREATE INDEX IF NOT EXISTS tournament_results_round ON tournament_results (tournament_id, ts, writer, seq);
CREATE INDEX IF NOT EXISTS tournament_results_strategy ON tournament_results (strategy_id, ts, writer, seq);
CREATE TABLE IF NOT EXISTS tournament_audit (
  ts INTEGER NOT NULL, tournament_id TEXT NOT NULL, strategy_id TEXT NOT NULL, event_type TEXT NOT NULL,
  event_data TEXT, cryptographic_hash TEXT NOT NULL, previous_hash TEXT NOT NULL,
  seq INTEGER NOT NULL, writer TEXT NOT NULL,
  UNIQUE (ts, writer, seq)
);
CREATE INDEX IF NOT EXISTS tournament_audit_round ON tournament_audit (tournament_id, ts, writer, seq);
CREATE INDEX IF NOT EXISTS tournament_audit_strategy ON tournament_audit (strategy_id, ts, writer, seq);
CREATE TABLE IF NOT EXISTS orders (
  order_id TEXT PRIMARY KEY, engine_ns INTEGER NOT NULL, updated_ns INTEGER NOT NULL, state TEXT NOT NULL,
  symbol TEXT NOT NULL, side TEXT NOT NULL, lots INTEGER NOT NULL, filled_lots INTEGER NOT NULL, type TEXT NOT NULL,
  limit_ticks INTEGER, stop_ticks INTEGER, time_in_force TEXT NOT NULL, expires_ns INTEGER,
  lots_by_strategy TEXT NOT NULL, expected_price REAL NOT NULL, denials TEXT NOT NULL, reason TEXT NOT NULL,
  seq INTEGER NOT NULL, writer TEXT NOT NULL, mode TEXT NOT NULL,
  average_price REAL, fee REAL NOT NULL DEFAULT 0, slippage REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS orders_time ON orders (engine_ns, order_id);
CREATE INDEX IF NOT EXISTS orders_symbol ON orders (symbol, engine_ns, order_id);
CREATE INDEX IF NOT EXISTS orders_state ON orders (state, engine_ns, order_id);
CREATE TABLE IF NOT EXISTS order_events (
  order_id TEXT NOT NULL, seq INTEGER NOT NULL, writer TEXT NOT NULL, ts INTEGER NOT NULL, utc_ns INTEGER NOT NULL,
  type TEXT NOT NULL, state TEXT NOT NULL, payload TEXT NOT NULL, hash_current TEXT NOT NULL,
  PRIMARY KEY (order_id, writer, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS order_tags (
  tag TEXT NOT NULL, engine_ns INTEGER NOT NULL, order_id TEXT NOT NULL,
  PRIMARY KEY (tag, engine_ns, order_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trade_strategies (
  strategy TEXT NOT NULL, ts INTEGER NOT NULL, writer TEXT NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (strategy, ts, writer, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS equity (
  ts INTEGER NOT NULL, equity REAL NOT NULL, cash REAL NOT NULL, fees REAL NOT NULL, gross REAL NOT NULL,
  net REAL NOT NULL, realised REAL NOT NULL, unrealised REAL NOT NULL, high_water REAL NOT NULL,
  drawdown REAL NOT NULL, day_pnl REAL NOT NULL, strategies TEXT NOT NULL, units TEXT NOT NULL,
  seq INTEGER NOT NULL, writer TEXT NOT NULL,
  PRIMARY KEY (ts, writer, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS projection (
  writer TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash TEXT NOT NULL
) WITHOUT ROWID;
"""
"""``order_tags`` finds the orders of a strategy ("strategy:NAME") or with a denial ("denial:CODE"); ``projection`` is
how far each journal is in the store, written in the transaction of its rows."""

VERSION = 3
"""Kept as the file's user_version: a store of another version is made again from the journals."""
