-- What both scripts begin with. ARGV[4] (MessagePack) has what the wanted fields begin with (none: all).
-- `counts[field]` is whether a field is asked for. A field is looked at once: there are some hundred names in thousands of
-- buckets. `held(key)` are the fields of a bucket and its version, if it has one.
local call, byte, sub = redis.call, string.byte, string.sub
local wanted = cmsgpack.unpack(ARGV[4])
local counts = setmetatable({}, {
  __index = function(known, field)
    local found = #wanted == 0
    for _, beginning in ipairs(wanted) do
      if sub(field, 1, #beginning) == beginning then
        found = true
        break
      end
    end
    known[field] = found
    return found
  end,
})
local NOTHING = {}
local function held(key)
  local kind = call('TYPE', key).ok
  if kind == 'string' then
    local packed, version = call('GET', key), nil
    if byte(packed) == 64 then
      version, packed = sub(packed, 2, 13), sub(packed, 14)
    end
    return cmsgpack.unpack(packed), version
  elseif kind == 'none' then
    return NOTHING
  end
  local found, flat = {}, call('HGETALL', key)
  for at = 1, #flat, 2 do
    found[flat[at]] = flat[at + 1]
  end
  local version = found['@']
  found['@'] = nil
  return found, version
end
-- The version of a bucket alone; false where it has none.
local function version_of(key)
  local kind = call('TYPE', key).ok
  if kind == 'string' then
    local beginning = call('GETRANGE', key, 0, 12)
    return byte(beginning) == 64 and sub(beginning, 2)
  end
  return kind == 'hash' and call('HGET', key, '@')
end
