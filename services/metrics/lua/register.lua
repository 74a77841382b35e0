-- The cuts that are counted from now on. Those that were counted before keep their revision, new ones get the next, and
-- the first ones ever have none. KEYS[1] the cuts; ARGV their names. Returns the hash.
local known, given, count = {}, {}, 0
local found = redis.call('HGETALL', KEYS[1])
for at = 1, #found, 2 do
  known[found[at]] = tonumber(found[at + 1])
end
local revision = known.revision
known.revision = nil
local same = revision ~= nil
for _, cut in ipairs(ARGV) do
  given[cut] = true
  same = same and known[cut] ~= nil
end
for cut in pairs(known) do
  same = same and given[cut] ~= nil
end
if not same then
  local following = revision and revision + 1 or 0
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'revision', following)
  for cut in pairs(given) do
    redis.call('HSET', KEYS[1], cut, known[cut] or following)
  end
end
return redis.call('HGETALL', KEYS[1])
