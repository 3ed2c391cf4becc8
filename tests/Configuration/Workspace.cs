namespace Trainer.Configuration.Tests;

/// <summary>A temporary folder of recipes. Messages show its files as <c>configs/…</c>.</summary>
public sealed class Workspace : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("trainer-configuration-").FullName;

    public string Write(string name, string content)
    {
        var path = Path.Combine(folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, content);
        return path;
    }

    public string PathOf(string name) => Path.Combine(folder, name);

    public LoadedConfiguration<SampleRecipe> Load(string name, params string[] overrides) =>
        ConfigurationLoader.Load<SampleRecipe>(PathOf(name), overrides, new Dictionary<string, string>());

    /// <summary>The whole message with which loading fails.</summary>
    public string Fails(string name, string[]? overrides = null, Dictionary<string, string>? environment = null)
    {
        var error = Assert.Throws<ConfigurationException>(
            () => ConfigurationLoader.Load<SampleRecipe>(PathOf(name), overrides ?? [], environment ?? []));
        return error.Message.Replace(folder, "configs");
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);
}
