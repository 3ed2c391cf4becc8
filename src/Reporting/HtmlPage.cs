using System.Globalization;
using System.Net;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using System.Text.Unicode;
using Trainer.Configuration;
using Trainer.Data;

namespace Trainer.Reporting;

/// <summary>A self-contained HTML page from the embedded files of Reporting/Assets: styles, scripts and data are inline, and its content
/// security policy forbids network access. Data reaches it as JSON only, and scripts show it as text only, never as HTML.</summary>
internal static partial class HtmlPage
{
    /// <summary>A page from its data and the names of its scripts, in the order in which they run.</summary>
    public static string Create<T>(string title, T data, params IEnumerable<string> scripts)
    {
        // In one pass, so that nothing within a part is taken for a placeholder.
        return Place().Replace(Asset("page.html"), place => place.Groups[1].Value switch
        {
            "title" => WebUtility.HtmlEncode(title),
            "style" => Asset("page.css"),
            "script" => string.Concat(scripts.Prepend("page.js").Select(Asset)),
            "data" => JsonSerializer.Serialize(data, PageJson.Inline),
            var name => throw new InvalidOperationException($"page.html has a place for {name}, which nothing fills"),
        });
    }

    public static void Write(string path, string html)
    {
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            DurableFile.Replace(path, html);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: the page cannot be written: {error.Message}", error);
        }
    }

    [GeneratedRegex(@"\{\{(\w+)\}\}")]
    private static partial Regex Place();

    private static string Asset(string name)
    {
        using var stream = typeof(HtmlPage).Assembly.GetManifestResourceStream($"Reporting/{name}")
            ?? throw new InvalidOperationException($"the assembly lacks {name}");
        using StreamReader reader = new(stream);
        return reader.ReadToEnd();
    }
}

internal static class PageJson
{
    /// <summary>For a script element: letters of all languages stay readable; &lt;, &gt;, &amp;, quotes, U+2028 and U+2029 are escaped, so
    /// that no text can end the element or the script. A null is left out.</summary>
    public static JsonSerializerOptions Inline { get; } = new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.Create(UnicodeRanges.All),
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    public static JsonSerializerOptions Readable { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
}

internal static class PageNumber
{
    /// <summary>Six figures: more than a plot shows, at half the size of the page. NaN and infinities become null.</summary>
    public static double? Rounded(double? value) =>
        value is { } number && double.IsFinite(number)
            ? double.Parse(number.ToString("G6", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture)
            : null;
}
