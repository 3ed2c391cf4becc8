using Trainer.Configuration.Binding;

namespace Trainer.Configuration.Layers;

internal sealed class FileChain(ICollection<Problem> problems)
{
    private readonly List<(string Name, Layer Layer)> files = [];

    public IReadOnlyList<string> Names => [.. files.Select(file => file.Name).Reverse()];

    public IEnumerable<Layer> Layers => files.Select(file => file.Layer).Reverse();

    /// <summary>Whether every file of the chain could be read, so that binding makes sense.</summary>
    public bool IsWhole { get; private set; } = true;

    public void Read(string path)
    {
        if (!File.Exists(path))
            Fail("", Missing($"the file {path}", "", path));
        for (var next = File.Exists(path) ? path : null; next is not null;)
            next = ReadOne(next) is { } extends ? Follow(next, extends.Value, extends.Origin) : null;
    }

    private (string Value, string Origin)? ReadOne(string name)
    {
        var text = Open(name);
        if (text is null)
            return null;
        var reader = JsonLayerReader.ReadFile(name, text, problems);
        IsWhole &= reader.IsWhole;
        files.Add((name, reader.Layer));
        return reader.Extends;
    }

    private JsonText? Open(string name)
    {
        try
        {
            return new JsonText(File.ReadAllBytes(name));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            Fail("", $"{name} cannot be read: {error.Message}");
            return null;
        }
    }

    private void Fail(string path, string message)
    {
        IsWhole = false;
        problems.Add(new Problem(path, message));
    }

    private string? Follow(string from, string extends, string origin)
    {
        if (extends.Length == 0 || extends.Contains('\0'))
        {
            Fail(ReservedKeys.Extends, $"\"{extends.Replace("\0", "\\0")}\" is no name of a file ({origin}); name one, or leave it out");
            return null;
        }
        var name = Resolve(from, extends);
        var circle = files.FindIndex(file => Path.GetFullPath(file.Name) == Path.GetFullPath(name));
        if (circle >= 0)
        {
            var round = files.Skip(circle).Select(file => file.Name).Append(files[circle].Name);
            Fail(ReservedKeys.Extends, $"goes round in a circle: {string.Join(" → ", round)} ({origin}); remove one of them");
            return null;
        }
        if (File.Exists(name))
            return name;
        Fail(ReservedKeys.Extends, Missing($"\"{extends}\"", $" ({origin}): no file {name}", name));
        return null;
    }

    private static string Resolve(string from, string extends)
    {
        var combined = Path.Combine(Path.GetDirectoryName(from) ?? "", extends);
        return Path.IsPathRooted(combined) ? Path.GetFullPath(combined) : Path.GetRelativePath(".", combined);
    }

    private static string Missing(string what, string where, string name)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(name))!;
        if (!Directory.Exists(folder))
            return $"{what} does not exist{where}; nor does its folder";
        var beside = Directory.EnumerateFiles(folder, "*.json").Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal);
        return $"{what} does not exist{where}{NearestName.Hint(Path.GetFileName(name), beside)}";
    }
}

/// <summary>Keys at the root of a file that are not settings.</summary>
internal static class ReservedKeys
{
    public const string Extends = "extends";

    /// <summary>Names the JSON schema for editors; ignored.</summary>
    public const string Schema = "$schema";
}
