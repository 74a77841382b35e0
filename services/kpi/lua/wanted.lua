-- What both scripts begin with: `counts[field]` is whether a field is asked for. ARGV[4] (MessagePack) has what the wanted
-- fields begin with (none: all). A field is looked at once: there are some hundred names in thousands of buckets.
local wanted = cmsgpack.unpack(ARGV[4])
local counts = setmetatable({}, {
  __index = function(known, field)
    local found = #wanted == 0
    for _, beginning in ipairs(wanted) do
      if string.sub(field, 1, #beginning) == beginning then
        found = true
        break
      end
    end
    known[field] = found
    return found
  end,
})
