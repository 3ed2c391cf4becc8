using System.Buffers.Binary;
using System.Text;

namespace Trainer.Tests;

/// <summary>Decodes the messages of TensorBoard's HParams plugin from their bytes, without a library, by plugin_data.proto.</summary>
internal static class SessionMessages
{
    /// <summary>The plugin contents of all starts or ends that the event files of a run hold.</summary>
    public static IEnumerable<byte[]> Contents(string run, bool start) => EventFileReader.ReadDirectory(run)
        .Where(point => point.Tag == (start ? "_hparams_/session_start_info" : "_hparams_/session_end_info"))
        .Select(point => point.Value.Metadata.PluginData.Content.ToByteArray());

    /// <summary>HParamsPluginData.session_start_info (3), its hparams (1), each a key (1) and a google.protobuf.Value (2).</summary>
    public static IEnumerable<(string Name, object Value)> Settings(byte[] content) =>
        from entry in Fields(Fields(content).Single(field => field.Number == 3).Bytes)
        where entry.Number == 1
        let pair = Fields(entry.Bytes).ToDictionary(field => field.Number, field => field.Bytes)
        select (Encoding.UTF8.GetString(pair[1]), Value(Fields(pair[2]).Single()));

    private static object Value((int Number, byte[] Bytes) field) => field.Number switch
    {
        2 => BinaryPrimitives.ReadDoubleLittleEndian(field.Bytes),
        3 => Encoding.UTF8.GetString(field.Bytes),
        4 => field.Bytes[0] == 1,
        _ => throw new InvalidDataException($"a setting has field {field.Number}; 2 (number), 3 (text) or 4 (true or false) expected"),
    };

    private static List<(int Number, byte[] Bytes)> Fields(byte[] message)
    {
        var fields = new List<(int, byte[])>();
        for (var at = 0; at < message.Length;)
        {
            var tag = Varint(message, ref at);
            var start = at;
            var length = (tag & 7) switch
            {
                0 => Varint(message, ref at) >= 0 ? at - start : 0,
                1 => 8,
                2 => Varint(message, ref at),
                _ => throw new InvalidDataException($"wire type {tag & 7}"),
            };
            if ((tag & 7) == 0)
                at = start;
            fields.Add((tag >> 3, message[at..(at + length)]));
            at += length;
        }
        return fields;
    }

    private static int Varint(byte[] message, ref int at)
    {
        var value = 0;
        for (var shift = 0; ; shift += 7)
        {
            var next = message[at++];
            value |= (next & 127) << shift;
            if (next < 128)
                return value;
        }
    }
}
