using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;

namespace Trainer.Reporting.Monitoring;

/// <summary>The messages of TensorBoard's HParams plugin: the settings of a run, and its end. TorchSharp lacks them, so they are encoded
/// here as in tensorboard/plugins/hparams/plugin_data.proto. There is no experiment message: from one, TensorBoard would take the columns
/// of all runs; without, it makes them of all settings and scalars that any run has.</summary>
internal static class HParams
{
    public const string SessionStartTag = "_hparams_/session_start_info";
    public const string SessionEndTag = "_hparams_/session_end_info";

    // Sections that do not change what the run learns.
    private static readonly HashSet<string> LeftOut = ["name", "monitoring", "checkpoint", "evaluation.measures"];

    /// <summary>The settings of a configuration by the paths that <c>--set</c> takes; a list of plain values is one text.</summary>
    public static Struct Settings(string json)
    {
        var settings = new Struct();
        using var document = JsonDocument.Parse(json);
        Add(document.RootElement, "", settings);
        return settings;
    }

    public static ByteString SessionStart(Struct settings, double seconds) => PluginData(3, info =>
    {
        // Struct.fields and SessionStartInfo.hparams are the same: map<string, Value>, number 1.
        settings.WriteTo(info);
        WriteTime(info, 5, seconds);
    });

    public static ByteString SessionEnd(double seconds) => PluginData(4, info =>
    {
        const int success = 1;
        info.WriteTag(1, WireFormat.WireType.Varint);
        info.WriteEnum(success);
        WriteTime(info, 2, seconds);
    });

    private static ByteString PluginData(int field, Action<CodedOutputStream> writeInfo) => Encode(data =>
    {
        data.WriteTag(field, WireFormat.WireType.LengthDelimited);
        data.WriteBytes(Encode(writeInfo));
    });

    private static ByteString Encode(Action<CodedOutputStream> write)
    {
        using var bytes = new MemoryStream();
        using (var output = new CodedOutputStream(bytes, leaveOpen: true))
            write(output);
        return ByteString.CopyFrom(bytes.ToArray());
    }

    private static void WriteTime(CodedOutputStream output, int field, double seconds)
    {
        output.WriteTag(field, WireFormat.WireType.Fixed64);
        output.WriteDouble(seconds);
    }

    private static void Add(JsonElement value, string path, Struct settings)
    {
        if (LeftOut.Contains(path))
            return;
        if (value.ValueKind == JsonValueKind.Object)
            foreach (var member in value.EnumerateObject())
                Add(member.Value, path.Length == 0 ? member.Name : $"{path}.{member.Name}", settings);
        else if (value.ValueKind == JsonValueKind.Array
            && value.EnumerateArray().Any(item => item.ValueKind is JsonValueKind.Object or JsonValueKind.Array))
            foreach (var (index, item) in value.EnumerateArray().Index())
                Add(item, $"{path}.{index}", settings);
        else if (Plain(value) is { } plain)
            settings.Fields[path] = plain;
    }

    private static Value? Plain(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null => null,
        JsonValueKind.Number => Value.ForNumber(value.GetDouble()),
        JsonValueKind.True or JsonValueKind.False => Value.ForBool(value.GetBoolean()),
        JsonValueKind.String => Value.ForString(value.GetString()),
        _ => Value.ForString($"[{string.Join(", ", value.EnumerateArray().Select(item => item.GetRawText()))}]"),
    };
}
