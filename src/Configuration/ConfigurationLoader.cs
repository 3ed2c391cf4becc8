using Trainer.Configuration.Binding;
using Trainer.Configuration.Layers;

namespace Trainer.Configuration;

/// <summary>Loads a configuration from its layers, each over the one before: the bases that the file <c>extends</c>, the file, environment
/// variables (<c>TRAINER__training__steps</c>), overrides (<c>training.steps=100</c>).</summary>
/// <remarks><para>Objects are merged key by key. A list replaces a list as a whole; the environment or an override
/// sets an item by its index (<c>data.train.0.path=my.txt</c>), the one after the last appends, and may give a whole
/// JSON list or object, or <c>null</c>.</para>
/// <para>When a layer changes the variant of a closed hierarchy (its <c>type</c>), lower layers' settings that the new variant does not
/// know are dropped. Without a name the variant is the default's.</para>
/// <para>Names and choices in files must match in case. A JSON string that reads as a number or truth value is taken for one; a number
/// is never taken for text.</para></remarks>
public static class ConfigurationLoader
{
    /// <summary>Loads a file, its bases, environment variables (the process's by default) and overrides, of which later ones win.</summary>
    /// <exception cref="ConfigurationException">It lists everything that is wrong.</exception>
    public static LoadedConfiguration<T> Load<T>(
        string path, IReadOnlyList<string> overrides, IReadOnlyDictionary<string, string>? environment = null)
    {
        var problems = new List<Problem>();
        var files = new FileChain(problems);
        files.Read(path);
        var variables = EnvironmentLayer.Read(environment ?? EnvironmentLayer.OfProcess(), problems);
        var commandLine = OverrideLayer.Read(overrides, problems);
        if (!files.IsWhole)
            throw new ConfigurationException(problems, path);
        return Bind<T>(new LayerStack([.. files.Layers, variables, commandLine]), files.Names, problems, path);
    }

    internal static LoadedConfiguration<T> Bind<T>(
        LayerStack stack, IReadOnlyList<string> files, List<Problem> problems, string source)
    {
        var value = new Binder(problems).BindRoot(stack.Root, typeof(T));
        if (problems.Count > 0)
            throw new ConfigurationException(problems, source);
        return new LoadedConfiguration<T>((T)value!, files, path => Explain(stack.Root.Find(path)));
    }

    private static string Explain(Setting setting) => setting.Exists ? setting.Origin : "by default";
}

/// <summary>A configuration and the origin of its settings.</summary>
public sealed class LoadedConfiguration<T>
{
    private readonly Func<string, string> explain;

    internal LoadedConfiguration(T value, IReadOnlyList<string> sourceFiles, Func<string, string> explain)
    {
        Value = value;
        SourceFiles = sourceFiles;
        this.explain = explain;
    }

    /// <summary>The bound, valid record.</summary>
    public T Value { get; }

    /// <summary>The files read, lowest layer first.</summary>
    public IReadOnlyList<string> SourceFiles { get; }

    /// <summary>The origin of a setting such as <c>data.train.0.path</c>: <c>in configs/x.json:7</c>, <c>by default</c>.</summary>
    public string Explain(string path) => explain(path);
}

/// <summary>What an object here leaves out is taken from the nearest enclosing record's earlier property of that name.</summary>
/// <remarks>So a list's item can say only what differs; a property that is absent altogether stays null.</remarks>
[AttributeUsage(AttributeTargets.Property)]
public sealed class InheritsAttribute : Attribute;
