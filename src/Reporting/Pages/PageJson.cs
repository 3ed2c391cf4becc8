using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Unicode;

namespace Trainer.Reporting;

/// <summary>JSON that stands inside the script element of an HTML page.</summary>
internal static class PageJson
{
    /// <summary>Letters of all languages stay readable; &lt;, &gt;, &amp;, quotes, U+2028 and U+2029 are escaped, so that no text
    /// can end the element or the script. A null is left out.</summary>
    public static JsonSerializerOptions Inline { get; } = new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.Create(UnicodeRanges.All),
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    /// <summary>For text that is shown, not for text within HTML.</summary>
    public static JsonSerializerOptions Readable { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
}
