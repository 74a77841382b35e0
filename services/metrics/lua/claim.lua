-- A worker takes a partition over: every older worker's steps are refused from now on.
-- KEYS[1] position; ARGV[1] the new life, by which readers know that what they keep may be of a lost past; ARGV[2] the
-- oldest and ARGV[3] the newest version of state that the worker knows: what it does not know it does not get.
-- `logged` and `listed` are the epoch, where its owner notes which buckets changed late, and where every bucket there
-- is was listed. An owner of before these leaves them behind, and so tells that they cannot be relied on.
-- Returns the position with the new epoch, or 'refused' with the versions that are there.
local before, step, listed, oldest, newest =
  unpack(redis.call('HMGET', KEYS[1], 'epoch', 'step', 'listed', 'oldest', 'newest'))
oldest, newest = tonumber(oldest or 0), tonumber(newest or 0)
if step and (newest > tonumber(ARGV[3]) or oldest < tonumber(ARGV[2])) then
  return {'refused', oldest, newest}
end
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
redis.call('HSET', KEYS[1], 'life', ARGV[1], 'logged', epoch)
if not step or listed == before then
  redis.call('HSET', KEYS[1], 'listed', epoch)
end
return redis.call('HMGET', KEYS[1], 'epoch', 'step', 'next', 'last', 'clock_us', 'swept', 'began_us',
  'oldest', 'newest')
