using static TorchSharp.torch;

namespace Trainer.Checkpoints;

/// <summary>Names and sizes of element types in safetensors files.</summary>
internal static class SafetensorsType
{
    private static readonly (ScalarType Type, string Name, int Size)[] Table =
    [
        (ScalarType.Float32, "F32", 4), (ScalarType.BFloat16, "BF16", 2), (ScalarType.Float16, "F16", 2),
        (ScalarType.Float64, "F64", 8), (ScalarType.Int64, "I64", 8), (ScalarType.Int32, "I32", 4),
        (ScalarType.Int16, "I16", 2), (ScalarType.Int8, "I8", 1), (ScalarType.Byte, "U8", 1), (ScalarType.Bool, "BOOL", 1),
    ];

    internal static string NameOf(ScalarType type) => Table.First(row => row.Type == type).Name;

    internal static int SizeOf(ScalarType type) => Table.First(row => row.Type == type).Size;

    internal static bool TryParse(string name, out ScalarType type, out int size)
    {
        var row = Table.FirstOrDefault(row => row.Name == name);
        (type, size) = (row.Type, row.Size);
        return row.Name is not null;
    }
}
