using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Prometheus;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Inference.Serving;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Serving;

/// <summary>Serves a checkpoint over HTTP as OpenAI's API does.</summary>
public sealed class ModelServer : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly ServedModels models;
    private readonly IDisposable metrics;

    private ModelServer(WebApplication app, ServedModels models, IDisposable metrics) =>
        (this.app, this.models, this.metrics) = (app, models, metrics);

    /// <summary>Where it listens, such as <c>http://127.0.0.1:8080</c>.</summary>
    public Uri Address => new(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());

    /// <summary>The model's id.</summary>
    public string ModelId => models.Base.Id;

    /// <summary>The ids of all models that are served: the model's own, and those of its adapters.</summary>
    public IReadOnlyList<string> ModelIds => [.. models.All.Select(model => model.Id)];

    /// <summary>Opens a checkpoint's directory or a run's best, else newest, and begins to listen.</summary>
    /// <exception cref="UserException">There is none, it cannot be loaded, or the port is taken.</exception>
    /// <exception cref="ConfigurationException">An option is out of its range.</exception>
    public static Task<ModelServer> StartAsync(
        string path, DeviceChoice device = DeviceChoice.Auto, InferencePrecision precision = InferencePrecision.Float32,
        ServerOptions? options = null) =>
        StartAsync(Checkpoint.Open(path), DeviceSelection.Choose(device), precision, options);

    /// <summary>Loads the model and begins to listen.</summary>
    /// <exception cref="UserException">The model cannot be loaded, or the port is taken.</exception>
    /// <exception cref="ConfigurationException">An option is out of its range.</exception>
    public static async Task<ModelServer> StartAsync(
        Checkpoint checkpoint, Device device, InferencePrecision precision = InferencePrecision.Float32, ServerOptions? options = null)
    {
        options ??= new();
        Problem[] problems = [.. options.Validate()];
        if (problems.Length > 0) throw new ConfigurationException([.. problems.Select(problem => problem with { Path = "" })]);
        ServedModels models = new(checkpoint, device, precision, options);
        CollectorRegistry registry = Metrics.NewCustomRegistry();
        IDisposable metrics = MeterAdapter.StartListening(new()
        {
            Registry = registry,
            MetricFactory = Metrics.WithCustomRegistry(registry),
            // Another server of the process has another engine, and counts for itself.
            InstrumentFilterPredicate = instrument => instrument.Meter.Name == GenerationEngine.MeterName
                && ReferenceEquals(instrument.Meter.Scope, models.Base.Engine),
        });
        ModelServer server = new(Build(models, options, registry), models, metrics);
        try
        {
            await server.app.StartAsync();
            return server;
        }
        catch (Exception error)
        {
            await server.DisposeAsync();
            if (error is IOException or SocketException)
                throw new UserException($"{options.Host}:{options.Port}: {error.Message}; --port takes another one, 0 a free one", error);
            throw;
        }
    }

    /// <summary>Waits until the process is asked to end, by Ctrl-C or SIGTERM.</summary>
    public Task WaitForShutdownAsync() => app.WaitForShutdownAsync();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        models.Dispose();
        metrics.Dispose();
    }

    private static WebApplication Build(ServedModels models, ServerOptions options, CollectorRegistry registry)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ApplicationName = "Trainer.Serving" });
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = options.MaxBodyBytes;
            kestrel.AddServerHeader = false;
            if (options.Host == "localhost") kestrel.ListenLocalhost(options.Port);
            else kestrel.Listen(IPAddress.Parse(options.Host), options.Port);
        });
        builder.Services.ConfigureHttpJsonOptions(json => Json.Configure(json.SerializerOptions));
        builder.Services.AddOpenApi("v1", document => document.AddDocumentTransformer((api, _, _) =>
        {
            (api.Info.Title, api.Info.Version) = ("Trainer", "1");
            return Task.CompletedTask;
        }));
        WebApplication app = builder.Build();
        app.Use(AnswerErrors);
        app.Use((context, next) =>
        {
            // Every body is JSON, whatever curl -d calls it.
            if (HttpMethods.IsPost(context.Request.Method)) context.Request.ContentType = "application/json";
            return next(context);
        });
        app.UseRouting();
        app.UseStatusCodePages(page => Write(page.HttpContext, NoSuchEndpoint(page.HttpContext)));
        if (options.ApiKey is { } key) app.Use((context, next) => RequireKey(context, next, key));
        MapEndpoints(app, models, options, registry);
        return app;
    }

    private static void MapEndpoints(WebApplication app, ServedModels models, ServerOptions options, CollectorRegistry registry)
    {
        app.MapGet("/", () => TypedResults.Stream(
            typeof(ModelServer).Assembly.GetManifestResourceStream("page.html")!, "text/html; charset=utf-8")).ExcludeFromDescription();
        app.MapGet("/info", () => models.Info).WithSummary("What the page at / shows of the model and its adapters.");
        app.MapOpenApi("/openapi.json");
        app.MapMetrics("/metrics", registry);
        app.MapGet("/health", () => TypedResults.Ok(new Health("ok"))).WithSummary("Whether the server answers.");
        app.MapGet("/v1/models", () => new ModelList("list", [.. models.All.Select(model => model.Entry)]))
            .WithSummary("The models that are served.");
        app.MapGet("/v1/models/{id}", (string id) => models.Find(id).Entry)
            .WithSummary("One of them.").ProducesError(StatusCodes.Status404NotFound);
        app.MapPost("/v1/completions", (Delegate)new Completions(models, options).Answer)
            .WithSummary("Continues texts.")
            .Accepts<CompletionRequest>("application/json").Produces<CompletionResponse>()
            .ProducesError(StatusCodes.Status400BadRequest, StatusCodes.Status404NotFound, StatusCodes.Status429TooManyRequests);
        app.MapPost("/v1/chat/completions", (Delegate)new Chats(models, options).Answer)
            .WithSummary("Says the next message of a conversation.")
            .Accepts<ChatRequest>("application/json").Produces<ChatResponse>()
            .ProducesError(StatusCodes.Status400BadRequest, StatusCodes.Status404NotFound, StatusCodes.Status429TooManyRequests);
        Embeddings embeddings = new(models);
        app.Lifetime.ApplicationStopped.Register(embeddings.Dispose);
        app.MapPost("/v1/embeddings", (Delegate)embeddings.Answer)
            .WithSummary("Embeds texts as vectors of length 1, the mean of their tokens' hidden states.")
            .Accepts<EmbeddingRequest>("application/json").Produces<EmbeddingResponse>()
            .ProducesError(StatusCodes.Status400BadRequest, StatusCodes.Status404NotFound);
    }

    private static async Task AnswerErrors(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context);
        }
        catch (ApiException error)
        {
            await Write(context, error);
        }
        catch (BadHttpRequestException error)
        {
            await Write(context, new(error.StatusCode, error.Message));
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // Nobody waits for an answer.
        }
        catch (Exception error)
        {
            await Write(context, ApiException.Of(error));
        }
    }

    private static Task RequireKey(HttpContext context, RequestDelegate next, string key)
    {
        if (!context.Request.Path.StartsWithSegments("/v1")) return next(context);
        string given = context.Request.Headers.Authorization.ToString();
        bool right = given.StartsWith("Bearer ", StringComparison.Ordinal)
            && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(given["Bearer ".Length..]), Encoding.UTF8.GetBytes(key));
        return right ? next(context) : throw new ApiException(
            StatusCodes.Status401Unauthorized, "the API key is missing or wrong; send it as 'Authorization: Bearer <key>'",
            code: "invalid_api_key");
    }

    private static ApiException NoSuchEndpoint(HttpContext context)
    {
        (int status, HttpRequest request) = (context.Response.StatusCode, context.Request);
        return status == StatusCodes.Status405MethodNotAllowed
            ? new(status, $"{request.Path} does not take {request.Method}", code: "method_not_allowed")
            : new(status, $"there is no {request.Method} {request.Path}; /openapi.json lists what there is", code: "unknown_url");
    }

    private static async Task Write(HttpContext context, ApiException error)
    {
        if (context.Response.HasStarted) return;
        context.Response.StatusCode = error.Status;
        await context.Response.WriteAsJsonAsync(error.Body, Json.Options);
    }
}

/// <summary>Whether the server answers.</summary>
internal sealed record Health(string Status);

file static class EndpointExtensions
{
    /// <summary>Documents the errors of an endpoint.</summary>
    public static void ProducesError(this RouteHandlerBuilder endpoint, params ReadOnlySpan<int> statuses)
    {
        foreach (int status in statuses) endpoint.Produces<ErrorResponse>(status);
    }
}
