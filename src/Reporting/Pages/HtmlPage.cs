using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Trainer.Configuration;
using Trainer.Data;

namespace Trainer.Reporting;

/// <summary>One HTML page with everything in it: styles, scripts and data. It asks the network for nothing, and its content
/// security policy forbids it to.</summary>
/// <remarks>The parts are the files of Reporting/Assets, embedded in the assembly. Data reaches the page as JSON only, and scripts
/// show it as text only, never as HTML.</remarks>
internal static partial class HtmlPage
{
    /// <summary>Makes a page.</summary>
    /// <param name="title">Its title.</param>
    /// <param name="data">What its scripts show.</param>
    /// <param name="scripts">Names of the scripts, in the order in which they run.</param>
    /// <returns>The HTML.</returns>
    public static string Create<T>(string title, T data, params IEnumerable<string> scripts)
    {
        // In one pass, so that nothing within a part is taken for the place of another.
        return Place().Replace(Asset("page.html"), place => place.Groups[1].Value switch
        {
            "title" => WebUtility.HtmlEncode(title),
            "style" => Asset("page.css"),
            "script" => string.Concat(scripts.Prepend("page.js").Select(Asset)),
            "data" => JsonSerializer.Serialize(data, PageJson.Inline),
            var name => throw new InvalidOperationException($"page.html has a place for {name}, which nothing fills"),
        });
    }

    /// <summary>Writes a page; the file is whole or as it was.</summary>
    /// <param name="path">The file; its directory is made when it is not there.</param>
    /// <param name="html">The page.</param>
    /// <exception cref="UserException">It cannot be written.</exception>
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
