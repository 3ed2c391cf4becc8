using System.Buffers.Binary;
using Tensorboard;

namespace Trainer.Tests;

/// <summary>Reads event files as TensorBoard does, sharing no code with the writer: checksums bit by bit, files in the
/// order of their names, and at a session start everything seen so far from its step on is forgotten.</summary>
internal static class EventFileReader
{
    public static IReadOnlyList<Event> ReadFile(string path)
    {
        var bytes = File.ReadAllBytes(path).AsSpan();
        var events = new List<Event>();
        while (bytes.Length > 0)
        {
            var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
            Assert.Equal(MaskedChecksum(bytes[..8]), BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]));
            var data = bytes.Slice(12, length);
            Assert.Equal(MaskedChecksum(data), BinaryPrimitives.ReadUInt32LittleEndian(bytes[(12 + length)..]));
            events.Add(Event.Parser.ParseFrom(data.ToArray()));
            bytes = bytes[(16 + length)..];
        }
        return events;
    }

    public static IReadOnlyList<(string Tag, long Step, Summary.Types.Value Value)> ReadDirectory(string directory)
    {
        var seen = new List<(string Tag, long Step, Summary.Types.Value Value)>();
        foreach (var entry in Directory.EnumerateFiles(directory, "*tfevents*").Order(StringComparer.Ordinal).SelectMany(ReadFile))
        {
            if (entry.SessionLog?.Status == SessionLog.Types.SessionStatus.Start)
                seen.RemoveAll(point => point.Step >= entry.Step);
            foreach (var value in entry.Summary?.Value ?? [])
                seen.Add((value.Tag, entry.Step, value));
        }
        return seen;
    }

    private static uint MaskedChecksum(ReadOnlySpan<byte> data)
    {
        var crc = ~0u;
        foreach (var value in data)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc & 1) == 0 ? crc >> 1 : (crc >> 1) ^ 0x82f63b78;
        }
        crc = ~crc;
        return unchecked(((crc >> 15) | (crc << 17)) + 0xa282ead8u);
    }
}
