using System.Globalization;
using System.Text.Json.Nodes;

namespace Trainer.Checkpoints.HuggingFace;

/// <summary>Real numbers as Python writes them: 10000.0, not 10000, for readers that check the type.</summary>
internal static class Real
{
    /// <summary>The shortest digits that give the number again, with a point or an exponent.</summary>
    public static JsonNode Json(double value)
    {
        string digits = value.ToString("R", CultureInfo.InvariantCulture);
        return JsonNode.Parse(digits.AsSpan().ContainsAny('.', 'E') ? digits : $"{digits}.0")!;
    }
}
