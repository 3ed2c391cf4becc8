using Trainer.Configuration;

namespace Trainer.Training.Tests;

/// <summary>The recipes of configs/, damaged: each loads or is refused with file and place. TRAINER_FUZZ says how many are tried.</summary>
public sealed class DamagedRecipesTests : IDisposable
{
    private static readonly string[] Foreign =
        ["{", "}", "[", "]", "\"", ",", ":", "null", "-1", "1e999", "true", "\\u", "\\ud800", "\0", "//", "/*", "\"type\":\"tiktoken\"",
        "\"extends\":\"r.json\""];

    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void They_load_or_are_refused_with_file_and_place()
    {
        string[] recipes = [.. Directory.GetFiles(Configs(), "*.json").Where(
            path => !path.EndsWith(".schema.json", StringComparison.Ordinal)).Order()];
        foreach (string recipe in recipes) File.Copy(recipe, Path.Combine(tiny.Root, Path.GetFileName(recipe)));
        string[] texts = [.. recipes.Select(File.ReadAllText)];
        string damaged = Path.Combine(tiny.Root, "r.json");
        Random random = new(2026);
        int count = int.TryParse(Environment.GetEnvironmentVariable("TRAINER_FUZZ"), out int wanted) ? wanted : 1000;
        for (int i = 0; i < count; i++)
        {
            string text = Damage(texts[i % texts.Length], texts[random.Next(texts.Length)], random);
            File.WriteAllText(damaged, text);
            try
            {
                Assert.NotNull(ConfigurationLoader.Load<Recipe>(damaged, []).Value);
            }
            catch (ConfigurationException error)
            {
                Assert.Contains("r.json", error.Message, StringComparison.Ordinal);
                Assert.NotEmpty(error.Problems);
                Assert.All(error.Problems, problem =>
                    Assert.True(problem.Path.Length > 0 || problem.Message.Contains(".json", StringComparison.Ordinal),
                    $"{problem}\n{text}"));
            }
        }
    }

    /// <summary>Characters away, others in their place, and pieces of another recipe, up to three times.</summary>
    private static string Damage(string text, string other, Random random)
    {
        for (int times = random.Next(1, 4); times > 0; times--)
        {
            int at = random.Next(text.Length), length = Math.Min(random.Next(0, 12), text.Length - at), from = random.Next(other.Length);
            string piece = random.Next(3) switch
            {
                0 => "",
                1 => Foreign[random.Next(Foreign.Length)],
                _ => other.Substring(from, Math.Min(random.Next(1, 60), other.Length - from)),
            };
            text = string.Concat(text.AsSpan(0, at), piece, text.AsSpan(at + length));
        }
        return text;
    }

    private static string Configs()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Trainer.sln"))) folder = folder.Parent;
        return Path.Combine(folder!.FullName, "configs");
    }
}
