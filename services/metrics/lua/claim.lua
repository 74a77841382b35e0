-- A worker takes a partition over: every older worker's steps are refused from now on.
-- KEYS[1] position. Returns the position with the new epoch.
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
return redis.call('HMGET', KEYS[1], 'epoch', 'step', 'next', 'last', 'clock_us')
