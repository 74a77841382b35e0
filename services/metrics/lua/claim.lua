-- A worker takes a partition over: every older worker's steps are refused from now on.
-- KEYS[1] position; ARGV[1] the new life, by which readers know that what they keep may be of a lost past.
-- Returns the position with the new epoch.
redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HSET', KEYS[1], 'life', ARGV[1])
return redis.call('HMGET', KEYS[1], 'epoch', 'step', 'next', 'last', 'clock_us', 'swept', 'began_us')
